"""The headline figures of a scan, in one list that every machine-readable format takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tomogram.disclosure.facts import Facts
from tomogram.report.charts.loss_ruler import FAMILY_WORDS
from tomogram.store.schema import Estimate


@dataclass(frozen=True)
class Figure:
    """A measured number with its 95 % interval over n samples, where it has one."""

    key: str
    name: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0

    @property
    def interval(self) -> tuple[float, float] | None:
        """Low and high end of the interval."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @classmethod
    def of(cls, key: str, name: str, estimate: Estimate) -> Figure:
        """The figure of an estimate."""
        return cls(key, name, estimate.value, estimate.low, estimate.high, estimate.n)


def figures(facts: Facts) -> tuple[Figure, ...]:
    """Coverage first, then concepts; losses are in nats per token, shares between 0 and 1."""
    return tuple(_figures(facts))


def _figures(facts: Facts) -> Iterator[Figure]:
    coverage = facts.coverage
    yield Figure.of("loss", "Loss in nats per token", coverage.loss)
    if coverage.unigram_loss is not None:
        yield Figure("unigram_loss", "Loss of token frequencies alone", coverage.unigram_loss)
    for each in coverage.spliced:
        which = FAMILY_WORDS[each.family]
        yield Figure.of(
            f"loss_rise_{each.family}", f"Rise in loss, all {which} in place", each.rise
        )
        if each.recovered is not None:
            name = f"Share of loss recovered, all {which} in place"
            yield Figure.of(f"loss_recovered_{each.family}", name, each.recovered)
    if coverage.labelled is not None:
        name = "Share of live features with a label that holds on unseen text"
        yield Figure.of("labelled", name, coverage.labelled)
    if facts.concepts is not None:
        for key, estimate in (
            ("feature", facts.concepts.feature),
            ("neuron", facts.concepts.neuron),
            ("probe", facts.concepts.probe),
        ):
            yield Figure.of(f"concept_f1_{key}", f"Mean F1 of the best {key} by concept", estimate)
