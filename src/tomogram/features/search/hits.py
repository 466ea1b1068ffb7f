"""Hits: what a search gives, with near-duplicates standing together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tomogram.features.search.catalogue import Catalogue


@dataclass(frozen=True)
class Hit:
    """One feature that a search found."""

    family: str
    unit: int
    score: float
    """What the kind of search ranks by; larger is better."""
    label: str | None
    """None for a feature that has no label."""
    duplicates: tuple[tuple[str, int], ...] = ()
    """Near-duplicates of it that were found as well, best first."""
    kin: tuple[str, int] | None = None
    """Leader of its family of features; None where it leads itself."""


def hits(
    found: Iterable[tuple[int, float]], catalogue: Catalogue, *, limit: int, grouped: bool = True
) -> list[Hit]:
    """The best distinct features of a ranking, at most `limit`.

    Args:
        found: numbers of units in the catalogue with their scores, best first.
        grouped: near-duplicates of a better hit stand with it and take no place of their own.
    """
    chosen: dict[int, Hit] = {}
    for number, score in found:
        number = int(number)
        own = int(catalogue.duplicate_of[number]) if grouped else number
        name = catalogue.name(number)
        if own in chosen:
            better = chosen[own]
            chosen[own] = replace(better, duplicates=(*better.duplicates, name))
        elif len(chosen) < limit:
            leader = int(catalogue.kin_of[number])
            kin = None if leader == number else catalogue.name(leader)
            label = catalogue.labels[number]
            chosen[own] = Hit(*name, score=float(score), label=label, kin=kin)
    return list(chosen.values())
