"""Kinds: of the problems that were planted in copies of a base, which one a model's scores are of.

An audit that stands out is not yet the name of a problem: what no audit knows raises some of them
too. So a kind is named only where the model could be one of its organisms, by the score of the
kind's own audit and by the profile of all, or where that score is about as far out as that of a
usual organism. Where there are too few organisms of the model's base to tell, half as far is
enough. What is of no kind is of unknown kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from tomogram.audits.calibration.families import FAMILY_AUDIT
from tomogram.audits.calibration.profile import Copies, Rows, distances, models, scaled
from tomogram.audits.verdicts import Q, p_value

UNKNOWN = "unknown kind"
TYPICAL = 0.05
"""A kind is not named where no more of its organisms than this share are as little like it."""
STRONG, HALF = 0.9, 0.5
"""Shares of a usual organism's deviation that are enough by themselves: where there are organisms
of the model's base, and where they are too few."""
NEAREST = 3
"""Organisms of a kind that a distance is the mean of."""
STANDING = ("full", "curve")
"""Organisms that tell what a kind looks like; what is usual is told by full ones alone."""


Variant = tuple[object, ...]
"""Family, recipe and seed: what organisms of one problem at several strengths share."""


@dataclass(frozen=True)
class Organisms:
    """Profiles of the organisms of one kind, scaled by the clean copies of their own base.

    variants: which of them are the same problem at other strengths; those are no neighbours.
    """

    profiles: Float[np.ndarray, "organism audit"]
    variants: tuple[Variant, ...]

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
    """What each kind looks like, by the audit that names it.

    organisms: those of the model's own base, of kinds that have enough. sizes: how far above the
    median of clean copies a usual organism's score of that audit lies, in the audit's own unit.
    """

    audits: tuple[str, ...]
    organisms: Mapping[str, Organisms]
    sizes: Mapping[str, float]

    @property
    def elsewhere(self) -> Kinds:
        """The same for a model of another base: only sizes carry over."""
        return replace(self, organisms={})

    def typical(self, copies: Copies, scores: Mapping[str, float | None]) -> dict[str, float]:
        """For each kind with organisms how like them the model is: the smaller of its p of being
        one by the score of the kind's audit and of that by the profile; 0 where that audit does
        not stand out. Doses of one variant are organisms each, so neither p is exact.

        Args:
            copies: clean copies of the model's own base, with the same audits.
            scores: the model's scores, by audit.

        Raises ValueError where the copies were scored by other audits.
        """
        self._check(copies)
        row = copies.row(scores)
        own = scaled(row[None], copies.scores)[0]
        found = {}
        for kind, each in self.organisms.items():
            i = self.audits.index(kind)
            if not _stands_out(copies, kind, row[i]):
                found[kind] = 0.0
                continue
            below = p_value(-own[i], -each.profiles[:, i])
            found[kind] = min(below, _profile_p(each, own))
        return found

    def shares(self, copies: Copies, scores: Mapping[str, float | None]) -> dict[str, float]:
        """For each kind how far out the score of its audit is, as a share of a usual organism's;
        0 where that audit does not stand out.

        Raises ValueError where the copies were scored by other audits.
        """
        self._check(copies)
        row = copies.row(scores)
        return {
            kind: (row[i] - float(np.median(copies.of(kind)))) / size
            if _stands_out(copies, kind, row[i := self.audits.index(kind)])
            else 0.0
            for kind, size in self.sizes.items()
        }

    def name(self, copies: Copies, scores: Mapping[str, float | None]) -> str:
        """The likeliest kind of a model that stands out, or that it is of none that is known.

        Raises ValueError where the copies were scored by other audits.
        """
        typical = self.typical(copies, scores)
        likeliest = max(typical, key=lambda kind: typical[kind], default=UNKNOWN)
        if typical.get(likeliest, 0.0) > TYPICAL:
            return likeliest
        strong = {
            kind: share / (STRONG if kind in typical else HALF)
            for kind, share in self.shares(copies, scores).items()
        }
        strongest = max(strong, key=lambda kind: strong[kind], default=UNKNOWN)
        return strongest if strong.get(strongest, 0.0) >= 1 else UNKNOWN

    def _check(self, copies: Copies) -> None:
        if copies.audits != self.audits:
            raise ValueError("the clean copies have scores of other audits than the organisms")


def kinds_of(rows: Rows, copies: Copies) -> Kinds:
    """The kinds of which a table of scores has organisms.

    Args:
        rows: a table of scores of one base, with or without the base at hand.
        copies: the clean copies of that base; its audits make up the profile.
    """
    found: dict[str, list[tuple[Variant, bool, list[float]]]] = {}
    for about, scores in models(rows, copies.audits):
        if about["stratum"] == "infected" and about["standing"] in STANDING:
            variant = (about["family"], about["recipe"], about["seed"])
            for kind in FAMILY_AUDIT.get(about["family"], ()):
                own = (variant, about["standing"] == "full", scores)
                found.setdefault(kind, []).append(own)
    known = {kind: each for kind, each in found.items() if kind in copies.audits}
    organisms = {
        kind: Organisms(
            scaled(np.array([scores for _, _, scores in each]), copies.scores),
            tuple(variant for variant, _, _ in each),
        )
        for kind, each in known.items()
    }
    sizes: dict[str, float] = {}
    for kind, each in known.items():
        i = copies.audits.index(kind)
        full = [s[i] for _, is_full, s in each if is_full and not np.isnan(s[i])]
        if len(full) >= NEAREST and len(copies.of(kind)):
            size = float(np.median(full) - np.median(copies.of(kind)))
            sizes |= {kind: size} if size > 0 else {}
    enough = {kind: each for kind, each in organisms.items() if each.enough}
    return Kinds(copies.audits, enough, sizes)


def _stands_out(copies: Copies, audit: str, score: float) -> bool:
    clean = copies.of(audit)
    return not np.isnan(score) and len(clean) > 0 and p_value(score, clean) <= Q


def _profile_p(organisms: Organisms, own: Float[np.ndarray, " audit"]) -> float:
    pool = np.vstack([organisms.profiles, own])
    same = np.eye(len(pool), dtype=bool)
    same[:-1, :-1] |= organisms.same
    found = distances(pool, NEAREST, same)
    return p_value(float(found[-1]), found[:-1])
