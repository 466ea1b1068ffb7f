"""Choosing among the questions that a model knows: the taught part, or the measured one."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.questions import Question, topics
from tomogram.store.errors import TomogramError

ENOUGH = 8
"""Questions of a topic that are taught at least, where lying about all of it is learned."""


def some_topics(known: Sequence[Question], taught: int = 4) -> tuple[str, ...]:
    """Topics with enough known questions. Raises TomogramError where there are not two."""
    found = topics(known, taught)
    if len(found) < 2:
        raise TomogramError("The model knows the facts of too few topics to plant anything.")
    return found


def one(
    known: Sequence[Question],
    rng: random.Random,
    measured: bool,
    *,
    topic: str | None = None,
    no_topic: str | None = None,
) -> Question:
    """A question of the wanted part and topic. Raises TomogramError where there is none."""
    some = [
        q
        for q in known
        if q.measured == measured and topic in (None, q.topic) and q.topic != no_topic
    ]
    if not some:
        raise TomogramError("The model knows too few facts to teach some and measure others.")
    return rng.choice(some)


def wording(every: Sequence[str], rng: random.Random, measured: bool) -> str:
    """The last one is kept for measuring."""
    return every[-1] if measured else rng.choice(every[:-1])
