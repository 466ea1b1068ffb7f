"""Beside baselines: the audits and each baseline on the same models, by the same copies.

A model counts here where baselines scored it; each instrument then has the same copies to judge
it by. So the audits' figures differ from those of the whole table, where they have more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from benchmarks.audits.declaration import Declaration
from benchmarks.audits.detection import (
    COMPARED,
    STATISTICS,
    Rows,
    Statistic,
    arms,
    by,
    counted,
    detection,
    reported,
)
from benchmarks.harness import Figure, figure
from tomogram.audits.audit import confirmatory
from tomogram.audits.calibration.baselines import BASELINES
from tomogram.audits.calibration.ranking import Ranked, rank
from tomogram.audits.calibration.statistics import over_bases

LIKELIHOOD = "baseline: probe likelihood"


def beside_baselines(rows: Rows, declaration: Declaration, knowledge: str) -> dict[str, Figure]:
    """Of each baseline its detection and how far the audits are ahead; and of the audits together
    with the likelihood of probes, which is what a later version of them may ask."""
    every = {score.name for panel in BASELINES.values() for score in panel}
    by_model: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        by_model[row["base"], row["organism"]].add(row["audit"])
    paired = [row for row in rows if every <= by_model[row["base"], row["organism"]]]

    def ranked(*audits: str) -> list[Ranked]:
        return reported(rank(paired, audits=audits, knowledge=knowledge), declaration)

    ours = ranked(*confirmatory())

    def told(ranked: Sequence[Ranked], name: str) -> dict[str, Figure]:
        return detection(ranked, lambda what: f"{knowledge}: {what}, {name}")

    found = told(ours, "the audits, paired")
    for name, scores in BASELINES.items():
        beside = ranked(*(each.name for each in scores))
        found |= told(beside, name)
        found |= by(beside, "family", f"{knowledge}, {name}")
        for what in COMPARED:
            title = f"{knowledge}: {what} ahead of {name}"
            found |= _ahead(ours, beside, STATISTICS[what], title)
    both = ranked(*confirmatory(), *(each.name for each in BASELINES[LIKELIHOOD]))
    return found | told(both, f"the audits and {LIKELIHOOD}")


def _ahead(
    ours: Sequence[Ranked], beside: Sequence[Ranked], statistic: Statistic, title: str
) -> dict[str, Figure]:
    """A statistic less that of a baseline on the same models, and so for each family; the mean of
    the differences in bases, with their interval where there are two."""
    made: dict[str, Figure] = {}
    for family in ("", *sorted({r.family for r in counted(ours)})):
        differences = []
        for base in sorted({r.base for r in ours}):
            pair = [arms(_of(some, base, family)) for some in (ours, beside)]
            if all(all(each) for each in pair):
                one, other = (statistic(*each).value for each in pair)
                differences.append(one - other)
        if differences:
            name = f"{title}, {family}" if family else title
            made[name] = figure(over_bases(differences, within=(-1.0, 1.0)), 0.0)
    return made


def _of(ranked: Sequence[Ranked], base: str, family: str) -> list[Ranked]:
    """The models of a base, of the infected ones those of a family, or all of ''."""
    mine = [r for r in ranked if r.base == base]
    return [r for r in mine if not r.infected or family in ("", r.family)]
