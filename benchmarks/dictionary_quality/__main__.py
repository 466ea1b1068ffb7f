"""Quality: FVU of TopK, BatchTopK and JumpReLU at equal tokens and equal L0, over the best peer's.

All train on the same activations of stories15M after layer 3, each library in a process and an
environment of its own, and are measured on the same held-out ones at the same L0. A run's outcome
is a file, so a benchmark that was stopped goes on where it was.

    python -m benchmarks.dictionary_quality [FOLDER] [--json] [--quick]
    python -m benchmarks.dictionary_quality.curves [FOLDER]    FVU against L0 for all kinds
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.dictionary_quality.harvested import ROOT, harvest
from benchmarks.dictionary_quality.runs import OURS, Outcome, outcomes
from benchmarks.dictionary_quality.settings import KINDS, SEEDS, compared
from benchmarks.harness import Figure, figure, main
from tomogram.store.estimates import estimate

TARGET = 1.01


def measure(quick: bool, folder: Path) -> dict[str, Figure]:
    """By kind: FVU of each library, and ours over the least of the peers', seed by seed."""
    harvest(folder)
    figures: dict[str, Figure] = {}
    seeds = SEEDS[:1] if quick else SEEDS
    # Seed by seed, so that a run that was stopped early has something of every kind.
    found = [{kind: _best(folder, kind, seed) for kind in KINDS} for seed in seeds]
    for kind in KINDS:
        best = [each[kind] for each in found]
        for who in best[0]:
            figures[f"{kind}: FVU, {who}"] = figure(
                estimate(np.array([each[who].fvu for each in best]))
            )
            figures[f"{kind}: L0, {who}"] = Figure(float(np.mean([each[who].l0 for each in best])))
        ratios = np.array(
            [each[OURS].fvu / min(each[who].fvu for who in KINDS[kind]) for each in best]
        )
        over = estimate(ratios)
        figures[f"{kind}: FVU over the best peer's"] = figure(over)
        figures[f"{kind}: FVU over the best peer's, upper bound"] = Figure(
            over.high, target=TARGET, at_least=False
        )
    return figures


def _best(folder: Path, kind: str, seed: int) -> dict[str, Outcome]:
    """By library, its best run of a kind and a seed."""
    runs = compared(folder, kind, seed)
    found = iter(outcomes([run for some in runs.values() for run in some], folder))
    return {
        who: min((next(found) for _ in some), key=lambda outcome: outcome.fvu)
        for who, some in runs.items()
    }


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    sys.argv[1:] = [word for word in sys.argv[1:] if word.startswith("-")]
    place = Path(words[0]) if words else ROOT / "build" / "dictionary_quality"
    main("dictionary_quality", lambda quick: measure(quick, place))
