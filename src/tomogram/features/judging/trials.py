"""Trials: passages of unseen text that a judge sorts into those a feature fires in and the rest.

The protocol is that of Paulo et al. (2024, section 4; EleutherAI's delphi). Up to 50 passages in
which the feature fires are drawn evenly from ten quantiles of its activation, and as many in which
it is silent. For *detection* the passages stand as they are. For *fuzzing* tokens are marked: those
the feature fires on, or in a silent passage as many drawn by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from tomogram.features.labellers.subject import MARK
from tomogram.text.packing import PackedText

Task = Literal["detection", "fuzzing"]
TASKS: tuple[Task, ...] = ("detection", "fuzzing")
WINDOW = 32
"""Tokens of a passage."""
QUANTILES = 10
ACTIVE = 50
"""Passages in which the feature fires, at most; as many silent ones."""
FEWEST = 5
"""A feature that fires in fewer passages of the unseen text is too rare to be judged."""


@dataclass(frozen=True)
class Trial:
    """One passage, and whether the feature fires in it."""

    tokens: tuple[int, ...]
    marks: tuple[bool, ...]
    """The tokens that fuzzing marks."""
    fires: bool


def trials(
    position: Int[np.ndarray, " firings"],
    activation: Float[np.ndarray, " firings"],
    text: PackedText,
    *,
    active: int = ACTIVE,
    seed: int,
) -> list[Trial]:
    """Passages for one feature in random order; none where it is too rare.

    Args:
        position, activation: all of the feature's firings in the text (row · context + offset).
    """
    rng = np.random.default_rng(seed)
    strength = np.zeros(text.n_tokens, np.float32)
    strength[position] = activation
    firing = _passages(_spread(position, activation, active, rng), text, rng)
    if len(firing) < FEWEST:
        return []
    fires = [_trial(places, strength, text) for places in firing]
    n_marks = max(1, round(float(np.mean([sum(trial.marks) for trial in fires]))))
    quiet = _silent(strength > 0, text, len(fires), rng)
    silent = [_chance(places, n_marks, text, rng) for places in quiet]
    both = [*fires, *silent]
    return [both[i] for i in rng.permutation(len(both))]


def _spread(
    position: np.ndarray, activation: np.ndarray, n: int, rng: np.random.Generator
) -> Int[np.ndarray, " chosen"]:
    """Firings drawn evenly from the quantiles of the activation, in random order."""
    order = np.argsort(activation, kind="stable")
    parts = np.array_split(order, QUANTILES)
    each = -(-n // QUANTILES)
    chosen = [rng.permutation(part)[:each] for part in parts if len(part)]
    drawn: np.ndarray = (
        position[rng.permutation(np.concatenate(chosen))] if chosen else position[:0]
    )
    return drawn[:n]


def _passages(
    chosen: np.ndarray, text: PackedText, rng: np.random.Generator
) -> list[Int[np.ndarray, " window"]]:
    """A window around each place, within its own row and document; none overlaps another."""
    taken = np.zeros(text.n_tokens, bool)
    found = []
    for place in map(int, chosen):
        window = _around(place, text, int(rng.integers(WINDOW)))
        if not taken[window].any():
            taken[window] = True
            found.append(window)
    return found


def _around(place: int, text: PackedText, before: int) -> Int[np.ndarray, " window"]:
    row, offset = divmod(place, text.context)
    same = np.flatnonzero(text.documents[row] == text.documents[row, offset])
    first, last = int(same[0]), int(same[-1]) + 1
    start = max(first, min(offset - before, last - WINDOW))
    end = min(last, start + WINDOW)
    return np.arange(row * text.context + start, row * text.context + end)


def _silent(
    fires: Bool[np.ndarray, " tokens"], text: PackedText, n: int, rng: np.random.Generator
) -> list[Int[np.ndarray, " window"]]:
    """Windows in which nothing fires, drawn by chance; fewer where they are hard to find."""
    found: list[np.ndarray] = []
    taken = fires.copy()
    for place in rng.integers(text.n_tokens, size=40 * n):
        window = _around(int(place), text, int(rng.integers(WINDOW)))
        if len(window) >= WINDOW // 4 and not taken[window].any():
            taken[window] = True
            found.append(window)
            if len(found) == n:
                break
    return found


def _trial(places: np.ndarray, strength: np.ndarray, text: PackedText) -> Trial:
    own = strength[places]
    marks = own >= MARK * own.max()
    tokens = text.tokens.reshape(-1)[places]
    return Trial(tuple(tokens.tolist()), tuple(marks.tolist()), True)


def _chance(places: np.ndarray, n_marks: int, text: PackedText, rng: np.random.Generator) -> Trial:
    marks = np.zeros(len(places), bool)
    marks[rng.permutation(len(places))[:n_marks]] = True
    tokens = text.tokens.reshape(-1)[places]
    return Trial(tuple(tokens.tolist()), tuple(marks.tolist()), False)


def batches(trials: Sequence[Trial], size: int) -> list[list[Trial]]:
    """Trials in the portions a judge is given at once."""
    return [list(trials[i : i + size]) for i in range(0, len(trials), size)]
