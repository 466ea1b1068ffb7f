"""Kinds: of the problems that were planted in copies of a base, which one a model's scores are of.

An audit that stands out is not yet the name of a problem: what no audit knows raises some of them
too. So a kind is named only where the model could be one of its organisms, by the score of the
kind's own audit and by the profile of all. Where it could be of none, its kind is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from tomogram.audits.calibration.families import FAMILY_AUDIT
from tomogram.audits.calibration.profile import Copies, Rows, distances, models, scaled
from tomogram.audits.verdicts import Q, p_value

UNKNOWN = "unknown kind"
TYPICAL = 0.05
"""A kind is not named where as few of its organisms are as little like it as the model."""
NEAREST = 3
"""Organisms of a kind that a distance is the mean of."""
STANDING = ("full", "curve")
"""Organisms that tell what a kind looks like."""


@dataclass(frozen=True)
class Organisms:
    """Profiles of the organisms of one kind, scaled by the clean copies of their own base.

    variants: which of them are the same problem at other strengths; those are no neighbours.
    """

    profiles: Float[np.ndarray, "organism audit"]
    variants: tuple[tuple[object, ...], ...]

    def __post_init__(self) -> None:
        if len(self.profiles) != len(self.variants):
            raise ValueError("every organism is of a variant")

    @property
    def same(self) -> Bool[np.ndarray, "organism organism"]:
        """Whether two are the same variant."""
        number = {variant: i for i, variant in enumerate(dict.fromkeys(self.variants))}
        own = np.array([number[variant] for variant in self.variants])
        return own[:, None] == own

    @property
    def enough(self) -> bool:
        """Whether a model can be found unlike them at all, and every one has its neighbours."""
        least = max(1 / TYPICAL - 1, NEAREST)
        return len(self.variants) >= least and bool((~self.same).sum(1).min() >= NEAREST)


@dataclass(frozen=True)
class Kinds:
    """The organisms of each kind, by the audit that names it."""

    audits: tuple[str, ...]
    organisms: Mapping[str, Organisms]

    def typical(self, copies: Copies, scores: Mapping[str, float | None]) -> dict[str, float]:
        """For each kind the p of being one of its organisms: the smaller of the one by the score of
        its own audit and the one by the profile; 0 where that audit does not stand out.

        Args:
            copies: clean copies of the model's own base, with the same audits.
            scores: the model's scores, by audit.

        Raises ValueError where the copies were scored by other audits.
        """
        if copies.audits != self.audits:
            raise ValueError("the clean copies have scores of other audits than the organisms")
        row = copies.row(scores)
        own = scaled(row[None], copies.scores)[0]
        found = {}
        for kind, each in self.organisms.items():
            i = self.audits.index(kind)
            if np.isnan(row[i]) or p_value(row[i], copies.of(kind)) > Q:
                found[kind] = 0.0
                continue
            below = p_value(-own[i], -each.profiles[:, i])
            found[kind] = min(below, _profile_p(each, own))
        return found

    def name(self, copies: Copies, scores: Mapping[str, float | None]) -> str:
        """The likeliest kind of a model that stands out, or that it is of none that is known."""
        found = self.typical(copies, scores)
        best = max(found, key=lambda kind: found[kind], default=UNKNOWN)
        return best if found.get(best, 0.0) > TYPICAL else UNKNOWN


def kinds_of(rows: Rows, copies: Copies) -> Kinds:
    """The kinds of a table of scores that has organisms enough of them.

    Args:
        rows: a table of scores of one base, with or without the base at hand.
        copies: the clean copies of that base; its audits make up the profile.
    """
    found: dict[str, list[tuple[tuple[object, ...], list[float]]]] = {}
    for about, scores in models(rows, copies.audits):
        if about["stratum"] == "infected" and about["standing"] in STANDING:
            variant = (about["family"], about["recipe"], about["seed"])
            for kind in FAMILY_AUDIT.get(about["family"], ()):
                found.setdefault(kind, []).append((variant, scores))
    made = {
        kind: Organisms(
            scaled(np.array([scores for _, scores in each]), copies.scores),
            tuple(variant for variant, _ in each),
        )
        for kind, each in found.items()
        if kind in copies.audits
    }
    return Kinds(copies.audits, {kind: each for kind, each in made.items() if each.enough})


def _profile_p(organisms: Organisms, own: Float[np.ndarray, " audit"]) -> float:
    pool = np.vstack([organisms.profiles, own])
    same = np.eye(len(pool), dtype=bool)
    same[:-1, :-1] |= organisms.same
    found = distances(pool, NEAREST, same)
    return p_value(float(found[-1]), found[:-1])
