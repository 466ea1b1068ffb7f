"""Contexts: places of a text as a person reads them, with what two models do there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tomogram.features.phrases import plain
from tomogram.text.packing import PackedText

BEFORE, BEHIND = 12, 4
"""Tokens shown on either side."""


@dataclass(frozen=True)
class Context:
    """A place: the words before it, the word itself, and those behind it, of its own document.

    values: what stands there before and after; None where nothing is measured.
    """

    before: str
    at: str
    behind: str
    values: tuple[float, float] | None = None

    def __str__(self) -> str:
        return f"{self.before} [{self.at.strip()}]{self.behind}".strip()


def contexts(
    text: PackedText,
    spelling: Sequence[str],
    positions: Sequence[int],
    values: Sequence[tuple[float, float]] | None = None,
) -> tuple[Context, ...]:
    """The contexts of some tokens of a text, by their numbers; made of visible characters alone."""
    found = []
    for i, position in enumerate(positions):
        row, offset = divmod(position, text.context)
        places = np.arange(max(0, offset - BEFORE), min(text.context, offset + BEHIND + 1))
        places = places[text.documents[row, places] == text.documents[row, offset]]
        words = [plain(spelling[token]) for token in text.tokens[row, places]]
        here = int(np.searchsorted(places, offset))
        found.append(
            Context(
                "".join(words[:here]).strip(),
                words[here],
                "".join(words[here + 1 :]),
                None if values is None else values[i],
            )
        )
    return tuple(found)
