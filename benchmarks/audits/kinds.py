"""Kinds: is a problem called by its name, and one that no audit knows "unknown kind"?

Each family in turn is unknown: the audits that name it are taken away, with all organisms of
theirs, and the others judge the full organisms of the split `report`. What a kind looks like is
told by organisms of the shipped base and the split `calibrate`; of other bases there are too few,
so their models are told from how far out a usual organism's score is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.audits.as_shipped import BASE
from benchmarks.audits.declaration import Declaration
from benchmarks.harness import Figure, figure
from tomogram.audits.audit import confirmatory
from tomogram.audits.calibration.families import FAMILY_AUDIT
from tomogram.audits.calibration.kinds import UNKNOWN, Kinds, kinds_of
from tomogram.audits.calibration.profile import (
    Copies,
    clean_p,
    clean_profiles,
    models,
    profile_p,
)
from tomogram.audits.calibration.scoring import KNOWLEDGE
from tomogram.audits.calibration.statistics import false_alarms, share
from tomogram.audits.verdicts import Q, adjusted, p_value

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Told:
    """What was told of a model. about: a row of it. audits, profile: smallest adjusted p of any
    audit, and p of the profile. named: its kind, where it was found."""

    about: Mapping[str, Any]
    audits: float
    profile: float
    named: str = ""

    @property
    def found(self) -> bool:
        """Whether an audit's adjusted p or the profile's p passes; of a base with too few copies,
        or too few shams among them, that is no FINDING yet."""
        return min(self.audits, self.profile) <= Q


@dataclass(frozen=True)
class World:
    """The audits that there are, with the rows of every base. teaching: parts whose organisms, of
    the shipped base, tell what a kind looks like."""

    rows: Mapping[str, Rows]
    audits: tuple[str, ...]
    teaching: frozenset[str]

    @cached_property
    def copies(self) -> dict[str, Copies]:
        """The clean copies of each base."""
        return {base: clean_profiles(own, self.audits) for base, own in self.rows.items()}

    @cached_property
    def kinds(self) -> Kinds:
        """The kinds that the audits can name."""
        taught = [row for row in self.rows[BASE] if row["part"] in self.teaching]
        return kinds_of(taught, self.copies[BASE])

    def tell(self, about: Mapping[str, Any], scores: Sequence[float]) -> Told:
        """What is told of one infected model."""
        copies = self.copies[about["base"]]
        own = self.by_audit(scores)
        told = Told(about, _smallest(copies, own), profile_p(copies, own)[1])
        kinds = self.kinds if about["base"] == BASE else self.kinds.elsewhere
        return replace(told, named=kinds.name(copies, own)) if told.found else told

    def tell_clean(self, base: str) -> list[Told]:
        """What is told of every clean copy of a base, each judged by the others."""
        copies, made = self.copies[base], []
        clean = [m for m in models(self.rows[base], self.audits) if m[0]["stratum"] != "infected"]
        for i, ((about, scores), p) in enumerate(zip(clean, clean_p(copies), strict=True)):
            others = replace(copies, scores=np.delete(copies.scores, i, axis=0))
            made.append(Told(about, _smallest(others, self.by_audit(scores)), float(p)))
        return made

    def by_audit(self, scores: Sequence[float]) -> dict[str, float | None]:
        """Scores by audit; None where one abstained."""
        found = (None if np.isnan(score) else score for score in scores)
        return dict(zip(self.audits, found, strict=True))


def _smallest(copies: Copies, scores: Mapping[str, float | None]) -> float:
    """The smallest adjusted p of any audit."""
    p_values = {
        audit: p_value(score, copies.of(audit))
        for audit, score in scores.items()
        if score is not None
    }
    return min(adjusted(p_values, len(copies.audits)).values(), default=1.0)


def kinds(rows: Rows, declaration: Declaration) -> dict[str, Figure]:
    """Figures of full organisms of the split `report`, and of its clean copies."""
    teaching = frozenset(p.name for p in declaration.parts if p.split == "calibrate")
    report = {p.name for p in declaration.parts if p.split == "report"}
    declared = confirmatory()
    made: dict[str, Figure] = {}
    if not any(row["part"] in teaching and row["base"] == BASE for row in rows):
        return made
    for knowledge in KNOWLEDGE:
        by_base: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            if row["knowledge"] == knowledge and row["audit"] in declared:
                by_base.setdefault(row["base"], []).append(row)
        mine = [r for own in by_base.values() for r in own if r["part"] in report]
        ill = [r for r in mine if r["standing"] == "full"]
        world = World(by_base, declared, teaching)
        known = _told(world, ill)
        made |= _named(known, declaration, f"{knowledge}: known kind", "right name", _right)
        unknown = []
        for family, naming in FAMILY_AUDIT.items():
            left = tuple(audit for audit in declared if audit not in naming)
            without = replace(world, audits=left)
            unknown += _told(without, [row for row in ill if row["family"] == family])
        made |= _named(unknown, declaration, f"{knowledge}: unknown kind", "so called", _so_called)
        clean = [told for base in by_base for told in world.tell_clean(base)]
        made |= _clean([told for told in clean if told.about["part"] in report], knowledge)
    return made


def _told(world: World, rows: Rows) -> list[Told]:
    bases = sorted({row["base"] for row in rows})
    return [
        world.tell(about, scores)
        for base in bases
        for about, scores in models([r for r in rows if r["base"] == base], world.audits)
    ]


def _right(told: Told) -> bool:
    return told.named in FAMILY_AUDIT[told.about["family"]]


def _so_called(told: Told) -> bool:
    return told.named == UNKNOWN


def _named(
    told: Sequence[Told],
    declaration: Declaration,
    title: str,
    what: str,
    good: Callable[[Told], bool],
) -> dict[str, Figure]:
    """Shares of full organisms that were found, and of these that are named well."""
    groups = {"": told}
    for out in ("family", "recipe", "base"):
        groups[f", held out: {out}"] = [t for t in told if out in declaration.held_out(t.about)]
    for family in FAMILY_AUDIT:
        groups[f", {family}"] = [t for t in told if t.about["family"] == family]
    made: dict[str, Figure] = {}
    for name, some in groups.items():
        if not some:
            continue
        found = [t for t in some if t.found]
        by_audits = sum(t.audits <= Q for t in some)
        made[f"{title}: found{name}"] = figure(share(len(found), len(some)))
        if not name:
            made[f"{title}: found by an audit"] = figure(share(by_audits, len(some)))
        if found:
            right = share(sum(good(t) for t in found), len(found))
            one_family = name.removeprefix(", ") in FAMILY_AUDIT  # too few models for a target
            made[f"{title}: {what}, of found{name}"] = figure(right, None if one_family else 0.8)
    return made


def _clean(told: Sequence[Told], knowledge: str) -> dict[str, Figure]:
    """How often a clean copy is found, by the profile and by the profile or an audit."""
    made: dict[str, Figure] = {}
    for stratum in ("all", *sorted({t.about["stratum"] for t in told})):
        some = [t for t in told if stratum in ("all", t.about["stratum"])]
        for alpha in (0.01, 0.05):
            alarms = false_alarms([t.profile for t in some], alpha)
            made[f"{knowledge}: clean with profile p ≤ {alpha}, {stratum}"] = figure(alarms)
        either = sum(t.found for t in some)
        made[f"{knowledge}: clean found by profile or audit, {stratum}"] = figure(
            share(either, len(some))
        )
    return made
