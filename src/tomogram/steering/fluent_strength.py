"""Fluent strength: how far to turn a target while what the model then writes stays text.

A bound on ordinary text (`strength`) says what edits cost where nobody asked for them. What the
model writes under them is another text. It can be ruined at a strength that ordinary text bears, as
each token written under a push is read again, and it can stay fluent at one that ordinary text does
not bear, since a story about dogs is no worse a story. So here the bounds are on the continuations
themselves: their loss under the model as it is, beside that of its own continuations, and their
distinct-3 beside theirs (`fluency`), because a text that repeats itself is easy to predict.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from tomogram.models.model import Model
from tomogram.steering.behaviours import Mentions
from tomogram.steering.edits import Change
from tomogram.steering.fluency import distinct, losses
from tomogram.steering.steered import steered
from tomogram.store.errors import TomogramError

STEP = 1.6
"""Between the first strengths tried, until one is fluent and another is not."""
TRIES = 5


@dataclass(frozen=True)
class Limits:
    """How much less fluent continuations may be than those of the model as it is.

    loss: the largest ratio of their mean losses. distinct: the smallest of their distinct-3.

    Raises:
        TomogramError: a limit is one that the model as it is does not keep.
    """

    loss: float = 1.15
    distinct: float = 0.9

    def __post_init__(self) -> None:
        if not (self.loss >= 1 and 0 <= self.distinct <= 1):
            raise TomogramError(
                "Limits of fluency are a ratio of losses from 1 on and one of distinct-3 up to 1,"
                f" not {self.loss:g} and {self.distinct:g}."
            )

    def share(self, part: float) -> Limits:
        """Limits that allow only a part of this loss of fluency, which leaves room for prompts
        that were not tried."""
        return Limits(1 + part * (self.loss - 1), 1 - part * (1 - self.distinct))


@dataclass(frozen=True, eq=False)
class Continued:
    """Continuations of a behaviour's prompts.

    outcomes: of the behaviour. losses: nats a token under the model as it is. distinct: distinct-3
    of all of them. written: their token ids.
    """

    outcomes: Float[np.ndarray, " prompts"]
    losses: Float[np.ndarray, " prompts"]
    distinct: float
    written: tuple[tuple[int, ...], ...]

    @property
    def outcome(self) -> float:
        """The mean outcome."""
        return float(self.outcomes.mean())

    def lost(self, plain: Continued) -> float:
        """The ratio of its mean loss to that of others."""
        return float(self.losses.mean() / plain.losses.mean())

    def kept(self, plain: Continued) -> float:
        """The ratio of its distinct-3 to that of others."""
        return self.distinct / plain.distinct

    def within(self, limits: Limits, plain: Continued) -> bool:
        """Whether these continuations are as fluent, beside plain ones, as limits ask."""
        return self.lost(plain) <= limits.loss and self.kept(plain) >= limits.distinct


def continuations(model: Model, behaviour: Mentions, *edits: Change) -> Continued:
    """What a model writes under edits, and how fluent it is to the model as it runs without them.

    Raises:
        TomogramError: as `steered` does; or nothing is written.
    """
    with steered(model, *edits):
        written = behaviour.written(model)
    return Continued(
        behaviour.judged(model, written),
        losses(model, behaviour.prompts, written),
        distinct(written),
        tuple(map(tuple, written)),
    )


@dataclass(frozen=True)
class Pushed:
    """A strength and what was written at it."""

    strength: float
    texts: Continued


def most_fluent(
    write: Callable[[float], Continued],
    plain: Continued,
    limits: Limits,
    *,
    first: float,
    most: float = math.inf,
    tries: int = TRIES,
) -> Pushed:
    """Of strengths whose continuations keep within limits, the one that shows a behaviour most.

    Strengths are tried upwards while they keep within the limits, downwards while they do not, and
    then between the two. Of equal outcomes the one that costs least fluency is taken. Where none
    keeps within the limits it is strength 0. Measure what is found on other prompts.

    Args:
        write: what is written at a strength, such as `continuations` of a push.
        plain: what the model writes as it is.
        first: the first strength that is tried, above 0.
        most: no stronger one is tried.

    Raises:
        TomogramError: the first strength is not above 0.
    """
    if not first > 0:
        raise TomogramError(f"The first strength that is tried lies above 0, not at {first}.")
    fluent = [Pushed(0.0, plain)]
    fits, breaks = 0.0, math.inf
    now = min(first, most)
    for _ in range(tries):
        texts = write(now)
        if texts.within(limits, plain):
            fluent.append(Pushed(now, texts))
            fits = max(fits, now)
            if now == most or texts.outcome == 1:
                break
        else:
            breaks = min(breaks, now)
        now = _between(fits, breaks, most)
    return max(fluent, key=lambda push: (push.texts.outcome, -push.texts.lost(plain)))


def _between(fits: float, breaks: float, most: float) -> float:
    if not fits:
        return breaks / STEP
    return min(fits * STEP, most) if breaks == math.inf else math.sqrt(fits * breaks)
