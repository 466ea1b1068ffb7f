"""Developers who try to overfit a shard, against raw scores and against PASS or ALARM.

A model is a random function of the item, so on the sealed items it is a row of bits (1 is bad), and
its true value is known: every strategy below only recombines fair draws, which leaves the true
value where it was while the measured mean wanders off. Runs are simulated side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from tomogram.custody.budget import Terms

THRESHOLD = 0.5
CAUTION = 0.04
"""Sealed, a developer stays this far below the threshold: 500 asks then meet about three alarms."""

Bits = Bool[ndarray, "runs clusters"]
Better = Bool[ndarray, " runs"]


@dataclass
class Feedback:
    """What comes back for a model: a score of three decimals, or a word until the shard closes."""

    terms: Terms
    raw: bool
    generator: np.random.Generator
    runs: int

    def __post_init__(self) -> None:
        self.alarms = np.zeros(self.runs, dtype=int)
        self.worst = np.zeros(self.runs)
        self.best = np.full(self.runs, np.inf)

    @property
    def true(self) -> float:
        return THRESHOLD if self.raw else THRESHOLD - CAUTION

    def fresh(self) -> Bits:
        """Models that nobody has seen, of the true value."""
        size = (self.runs, self.terms.clusters)
        return self.generator.random(size, dtype=np.float32) < self.true

    def mixed(self, share: float | Float[ndarray, " runs"], old: Bits) -> Bits:
        """Models that differ from old ones on a random share of all items."""
        size = (self.runs, self.terms.clusters)
        where = self.generator.random(size, dtype=np.float32) < np.reshape(share, (-1, 1))
        return np.where(where, self.fresh(), old)

    def ask(self, models: Bits) -> Better:
        """Ask about one model in each run; whether the developer should go on with it."""
        means = models.mean(1)
        open_ = self.alarms < self.terms.alarms if not self.raw else np.ones(self.runs, bool)
        errors = np.abs(means - self.true)
        self.worst = np.where(open_, np.maximum(self.worst, errors), self.worst)
        if self.raw:
            seen = means.round(3)
            better = seen <= self.best
            self.best = np.minimum(self.best, seen)
            return better
        noise = self.generator.uniform(-self.terms.noise, self.terms.noise, self.runs)
        alarm = means + noise > THRESHOLD
        self.alarms += alarm & open_
        return ~alarm & open_


class HillClimber:
    """Redraws a twentieth of the items and keeps what is not worse."""

    def __init__(self, feedback: Feedback) -> None:
        self.now = feedback.fresh()

    def step(self, feedback: Feedback, asked: int) -> None:
        new = feedback.mixed(0.05, self.now)
        self.now = np.where(feedback.ask(new)[:, None], new, self.now)


class Annealer:
    """Redraws half of the items at first and ever fewer later."""

    def __init__(self, feedback: Feedback) -> None:
        self.now = feedback.fresh()

    def step(self, feedback: Feedback, asked: int) -> None:
        new = feedback.mixed(max(0.01, 0.5 * 0.97**asked), self.now)
        self.now = np.where(feedback.ask(new)[:, None], new, self.now)


class BlockSearch:
    """Redraws one of fifty fixed blocks of items after another."""

    def __init__(self, feedback: Feedback) -> None:
        self.now = feedback.fresh()
        size = (feedback.runs, feedback.terms.clusters)
        self.block = feedback.generator.integers(0, 50, size)

    def step(self, feedback: Feedback, asked: int) -> None:
        new = np.where(self.block == asked % 50, feedback.fresh(), self.now)
        self.now = np.where(feedback.ask(new)[:, None], new, self.now)


class Breeder:
    """Crosses two of eight parents, mutates a little, and replaces one parent by what is better."""

    def __init__(self, feedback: Feedback) -> None:
        self.parents = [feedback.fresh() for _ in range(8)]

    def step(self, feedback: Feedback, asked: int) -> None:
        one, two = self.parents[asked % 8], self.parents[(asked * 5 + 3) % 8]
        from_one = feedback.generator.random(one.shape, dtype=np.float32) < 0.5
        child = feedback.mixed(0.02, np.where(from_one, one, two))
        better = feedback.ask(child)[:, None]
        place = (asked * 3 + 1) % 8
        self.parents[place] = np.where(better, child, self.parents[place])


class Stepper:
    """Dares larger changes after a good answer and smaller ones after a bad one."""

    def __init__(self, feedback: Feedback) -> None:
        self.now = feedback.fresh()
        self.share = np.full(feedback.runs, 0.1)

    def step(self, feedback: Feedback, asked: int) -> None:
        new = feedback.mixed(self.share, self.now)
        better = feedback.ask(new)
        self.now = np.where(better[:, None], new, self.now)
        self.share = np.clip(self.share * np.where(better, 1.5, 0.9), 0.005, 0.5)


ADVERSARIES = (HillClimber, Annealer, BlockSearch, Breeder, Stepper)


def errors(
    adversary: type, terms: Terms, asks: tuple[int, ...], runs: int, *, raw: bool, seed: int
) -> dict[int, Float[ndarray, " runs"]]:
    """The largest error of each run among its first asks, for each number of asks."""
    feedback = Feedback(terms, raw, np.random.default_rng(seed), runs)
    player = adversary(feedback)
    found = {}
    for asked in range(1, max(asks) + 1):
        player.step(feedback, asked)
        if asked in asks:
            found[asked] = feedback.worst.copy()
    return found
