"""Detection: the two arms of a ranked table, and statistics of them over bases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from benchmarks.audits.declaration import Declaration
from benchmarks.harness import Figure, figure
from tomogram.audits.calibration.ranking import Ranked
from tomogram.audits.calibration.statistics import auroc, over_bases, sensitivity_at
from tomogram.store.schema import Estimate

COUNTED = ("full",)
"""Standing of the infected models in the headline figures."""

Statistic = Callable[[Sequence[float], Sequence[float]], Estimate]
"""Of the scores of infected and of clean models."""
STATISTICS: dict[str, Statistic] = {
    "AUROC": auroc,
    "TPR at 1 % false alarms": lambda infected, clean: sensitivity_at(infected, clean, 0.01),
    "TPR at 5 % false alarms": lambda infected, clean: sensitivity_at(infected, clean, 0.05),
}
COMPARED = ("AUROC", "TPR at 1 % false alarms")
"""Statistics of families, recipes and baselines."""

Rows = Sequence[Mapping[str, Any]]
M = TypeVar("M", Ranked, Mapping[str, Any])


def reported(models: Sequence[M], declaration: Declaration) -> list[M]:
    """The models of the split `report`, or all where there are none, as in a quick run.

    Copies of the split `calibrate` are only what they are judged against, and weak organisms of the
    curves: the calibration that is shipped is made of them.
    """
    report = {part.name for part in declaration.parts if part.split == "report"}
    return [each for each in models if _part(each) in report] or list(models)


def _part(model: Ranked | Mapping[str, Any]) -> str:
    return model.part if isinstance(model, Ranked) else str(model["part"])


def arms(ranked: Sequence[Ranked]) -> tuple[list[float], list[float]]:
    """Suspicion of the infected models that count, and of the whole clean arm.

    An infected model that every audit abstained on has the lowest suspicion there is: a miss.
    """
    lowest = float("-inf")
    return [lowest if r.abstained else r.suspicion for r in counted(ranked)], [
        r.suspicion for r in ranked if not r.infected
    ]


def counted(ranked: Sequence[Ranked]) -> list[Ranked]:
    return [r for r in ranked if r.infected and r.standing in COUNTED]


def clustered(
    ranked: Sequence[Ranked], statistic: Callable[[Sequence[Ranked]], Estimate]
) -> Estimate | None:
    """The statistic over bases where there are at least two, else over the models of the one;
    None where an arm is empty."""
    bases = sorted({r.base for r in ranked})
    each = [[r for r in ranked if r.base == base] for base in bases]
    usable = [some for some in each if all(arms(some))]
    if len(usable) < 2:
        return statistic(usable[0]) if usable else None
    return over_bases([statistic(some).value for some in usable])


def over_arms(ranked: Sequence[Ranked], statistic: Statistic) -> Estimate | None:
    """A statistic of the two arms, clustered by base."""
    return clustered(ranked, lambda some: statistic(*arms(some)))


def detection(ranked: Sequence[Ranked], named: Callable[[str], str]) -> dict[str, Figure]:
    """What two instruments are compared by, under names made of a statistic's."""
    found = {what: over_arms(ranked, STATISTICS[what]) for what in COMPARED}
    return {named(what): figure(each) for what, each in found.items() if each is not None}


def by(ranked: Sequence[Ranked], column: str, told: str) -> dict[str, Figure]:
    """Detection of the full organisms of each family, or of each recipe."""
    made: dict[str, Figure] = {}
    for value in sorted({getattr(r, column) for r in counted(ranked)}):
        some = [r for r in ranked if not r.infected or getattr(r, column) == value]
        made |= detection(some, lambda what, value=value: f"{told}: {what}, {value}")  # type: ignore[misc]
    return made
