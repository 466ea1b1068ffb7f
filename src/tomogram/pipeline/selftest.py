"""Selftest: every method of discovery on every shipped known circuit, offline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from tomogram.circuits.discovery.scores import METHODS
from tomogram.circuits.known import induction, modular, planted, reference, siit, tracr
from tomogram.circuits.known.case import Case
from tomogram.circuits.known.measure import Measured, measure
from tomogram.store.canonical import Json
from tomogram.store.progress import task

PAIRS = 16


def known_cases(*, pairs: int = PAIRS, seed: int = 0) -> tuple[Case, ...]:
    """All known circuits that are shipped, the small ones first.

    Args:
        pairs: searched with, and as many held out; half as many of the reference model, whose runs
            take most of the time.
    """
    return (
        *tracr.cases(pairs=pairs, seed=seed),
        *planted.cases(pairs=pairs, seed=seed),
        *induction.cases(pairs=pairs, seed=seed),
        *modular.cases(pairs=pairs, seed=seed),
        *siit.cases(pairs=pairs, seed=seed),
        *reference.cases(pairs=max(2, pairs // 2), seed=seed),
    )


def selftest(
    *, pairs: int = PAIRS, seed: int = 0, methods: Sequence[str] = tuple(METHODS)
) -> tuple[Measured, ...]:
    """Measure every method on every case.

    Args:
        pairs: searched with, and as many held out.
    """
    cases = known_cases(pairs=pairs, seed=seed)
    found: list[Measured] = []
    with task("selftest", total=len(cases), unit="circuits") as progress:
        for case in cases:
            found += measure(case, methods)
            progress.advance()
    return tuple(found)


def means(found: Sequence[Measured]) -> dict[tuple[str, str], tuple[float, float, float, float]]:
    """Mean edge AUROC, CPR, CMD and CPU seconds by kind and method."""
    groups: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    for each in found:
        groups[each.kind, each.method].append(each)
    return {
        key: (
            float(np.mean([each.auroc for each in group])),
            float(np.mean([each.cpr for each in group])),
            float(np.mean([each.cmd for each in group])),
            float(np.mean([each.seconds for each in group])),
        )
        for key, group in groups.items()
    }


def document(found: Sequence[Measured]) -> list[Json]:
    """Everything measured, as data."""
    return [
        {
            "kind": each.kind,
            "circuit": each.case,
            "method": each.method,
            "edge_auroc": each.auroc,
            "edge_auroc_of_means": each.auroc_signed,
            "cpr": each.cpr,
            "cmd": each.cmd,
            "cpu_seconds": each.seconds,
        }
        for each in found
    ]
