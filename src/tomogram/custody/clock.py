"""The time, in the form that ledger rows carry; a function, so that it can be handed in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

FORMAT = "%Y-%m-%dT%H:%M:%SZ"

Clock = Callable[[], datetime]
"""Gives the present time with its zone."""


def utc_now() -> datetime:
    """The machine's own clock, in UTC."""
    return datetime.now(UTC)


def written(moment: datetime) -> str:
    """A moment as rows write it, in whole seconds of UTC; such texts sort as the moments do."""
    return moment.astimezone(UTC).strftime(FORMAT)


@lru_cache(maxsize=1024)  # many rows of one second
def read(text: str) -> datetime:
    """The moment that `written` wrote. Raises ValueError for any other text."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or written(moment) != text:
        raise ValueError(f"{text} is not the canonical form of a time")
    return moment
