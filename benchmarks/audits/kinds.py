"""Kinds: is a problem called by its name, and one that no audit knows "unknown kind"?

Each family in turn is unknown: the audits that name it are taken away, with all organisms of theirs,
and the others judge the full organisms of the split `report`. What a kind looks like is told by
organisms of the split `calibrate`, for other bases too: their scores are scaled by the clean copies
of their own base.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.audits.declaration import Declaration
from benchmarks.harness import Figure, figure
from tomogram.audits.audit import confirmatory
from tomogram.audits.calibration.families import FAMILY_AUDIT
from tomogram.audits.calibration.kinds import UNKNOWN, Kinds, kinds_of
from tomogram.audits.calibration.profile import Copies, clean_profiles, models, profile_p
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
        """Whether an audit is a FINDING, or the profile is where no clean copies are."""
        return min(self.audits, self.profile) <= Q


@dataclass(frozen=True)
class World:
    """The audits that there are, with the tables that judge a model of any base."""

    rows: Rows
    audits: tuple[str, ...]
    teaching: frozenset[str]

    @cached_property
    def copies(self) -> dict[str, tuple[Copies, tuple[str, ...]]]:
        """By base: the clean copies and their names."""
        found = {}
        for base in sorted({row["base"] for row in self.rows}):
            own = [row for row in self.rows if row["base"] == base]
            names = dict.fromkeys(
                r["organism"]
                for r in own
                if r["stratum"] != "infected" and r["audit"] in self.audits
            )
            found[base] = (clean_profiles(own, self.audits), tuple(names))
        return found

    @cached_property
    def kinds(self) -> Kinds:
        """The organisms of the teaching parts, all of one base."""
        taught = [row for row in self.rows if row["part"] in self.teaching]
        (base,) = {row["base"] for row in taught}
        return kinds_of(taught, self.copies[base][0])

    def tell(self, about: Mapping[str, Any], scores: Sequence[float]) -> Told:
        """What is told of one model, a clean copy being judged by the others."""
        copies, names = self.copies[about["base"]]
        if about["organism"] in names:
            others = np.array([name != about["organism"] for name in names])
            copies = replace(copies, scores=copies.scores[others])
        own = {
            audit: None if np.isnan(score) else score
            for audit, score in zip(self.audits, scores, strict=True)
        }
        p_values = {
            audit: p_value(score, clean[~np.isnan(clean)])
            for audit, clean in zip(copies.audits, copies.scores.T, strict=True)
            if (score := own[audit]) is not None
        }
        smallest = min(adjusted(p_values, len(self.audits)).values(), default=1.0)
        told = Told(about, smallest, profile_p(copies, own)[1])
        if not told.found or about["stratum"] != "infected":
            return told
        return replace(told, named=self.kinds.name(copies, own))


def kinds(rows: Rows, declaration: Declaration) -> dict[str, Figure]:
    """Figures of full organisms of the split `report`, and of its clean copies."""
    teaching = frozenset(p.name for p in declaration.parts if p.split == "calibrate")
    report = {p.name for p in declaration.parts if p.split == "report"}
    made: dict[str, Figure] = {}
    if not {row["part"] for row in rows} & teaching:
        return made
    for knowledge in KNOWLEDGE:
        some = [r for r in rows if r["knowledge"] == knowledge and r["audit"] in confirmatory()]
        mine = [r for r in some if r["part"] in report]
        ill = [r for r in mine if r["standing"] == "full"]
        world = World(some, confirmatory(), teaching)
        known = _told(world, ill)
        made |= _named(known, declaration, f"{knowledge}: known kind", "right name")
        unknown = []
        for family, naming in FAMILY_AUDIT.items():
            left = tuple(audit for audit in confirmatory() if audit not in naming)
            without = replace(world, audits=left)
            unknown += _told(without, [row for row in ill if row["family"] == family])
        made |= _named(unknown, declaration, f"{knowledge}: unknown kind", "so called")
        made |= _clean(_told(world, [r for r in mine if r["stratum"] != "infected"]), knowledge)
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
    told: Sequence[Told], declaration: Declaration, title: str, what: str
) -> dict[str, Figure]:
    """Shares of full organisms that were found, and of these that have the right name."""
    good = _right if what == "right name" else _so_called
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
            family_alone = name in {f", {family}" for family in FAMILY_AUDIT}
            made[f"{title}: {what}, of found{name}"] = figure(right, None if family_alone else 0.8)
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
