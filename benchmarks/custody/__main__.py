"""`python -m benchmarks.custody`: the figures of custody."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.custody import crashes, length, refusals, tampering
from benchmarks.custody.adversaries import ADVERSARIES, errors
from benchmarks.harness import Figure, figure, main, share
from tomogram.custody.budget import Terms, width
from tomogram.store.estimates import estimate

CLUSTERS, DELTA, ALARMS = 1000, 0.05, 3
ASKS = (100, 500)


def measure(quick: bool) -> Mapping[str, Figure]:
    """All figures; quick runs are a hundred times smaller."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {
            **overfitting(runs=20 if quick else 1000),
            **alterations(folder, *((10, 50) if quick else (1000, 10_000))),
            **kills(folder, 8 if quick else 200),
            **a_long_ledger(folder, 10_000 if quick else 1_000_000),
            **refused(folder),
        }


def overfitting(runs: int) -> dict[str, Figure]:
    """Runs in which a mean ever left the stated width: worst adversary sealed, weakest raw."""
    terms = Terms(CLUSTERS, width(CLUSTERS, max(ASKS), ALARMS, DELTA), DELTA, ALARMS, 0.02)
    sealed, raw = (
        [errors(a, terms, ASKS, runs, raw=raw, seed=i) for i, a in enumerate(ADVERSARIES)]
        for raw in (False, True)
    )
    figures = {}
    for asks in ASKS:
        limit = width(CLUSTERS, asks, ALARMS, DELTA)
        over = [int((found[asks] > limit).sum()) for found in sealed]
        over_raw = [int((found[asks] > limit).sum()) for found in raw]
        worst = max(float(found[asks].max()) for found in sealed)
        figures[f"width_{asks}"] = Figure(limit)
        figures[f"sealed_over_width_{asks}"] = share(max(over), runs, DELTA, at_least=False)
        figures[f"raw_over_width_{asks}"] = share(max(over_raw), runs, 0.5)
        figures[f"raw_over_width_median_adversary_{asks}"] = share(
            int(np.median(over_raw)), runs, None
        )
        figures[f"width_per_worst_error_{asks}"] = Figure(limit / worst)
    return figures


def alterations(folder: Path, honest: int, random: int) -> dict[str, Figure]:
    """Honest suites accepted, altered ones detected."""
    designed, of = tampering.designed_detected(folder)
    return {
        "honest_accepted": share(tampering.honest_accepted(folder, honest), honest, 1.0),
        "random_alterations_detected": share(
            tampering.random_detected(folder, random), random, 1.0
        ),
        "designed_alterations": Figure(of, target=20),
        "designed_alterations_detected": share(designed, of, 1.0),
        "unanchored_rollback_could_not_be_checked": Figure(
            float(tampering.rollback_unanchored(folder)), target=1
        ),
    }


def kills(folder: Path, n: int) -> dict[str, Figure]:
    """What eight writers left after so many SIGKILLs."""
    damage = crashes.killed(folder, n, writers=8)
    return {
        "kill_rows_written": Figure(damage.rows),
        "kill_rows_lost": Figure(damage.lost, target=0, at_least=False),
        "kill_rows_doubled": Figure(damage.doubled, target=0, at_least=False),
        "kill_models_uncharged": Figure(damage.uncharged, target=0, at_least=False),
        "kill_ledgers_refused": Figure(damage.refused, target=0, at_least=False),
    }


def a_long_ledger(folder: Path, n: int) -> dict[str, Figure]:
    """Appending to a long ledger and verifying it; memory beside that of a tenth of the rows."""
    short, _ = length.suite_with(folder / "short", n // 10)
    long, key = length.suite_with(folder / "long", n)
    _, little = length.verification(short)
    seconds, much = length.verification(long)
    appended, flushed = (
        np.array(length.append_milliseconds(long, key, 400, durable=durable))
        for durable in (False, True)
    )
    return {
        "ledger_rows": Figure(n),
        "verify_cpu_seconds": Figure(seconds, target=60, at_least=False),
        "verify_memory_mib": Figure(much),
        "verify_memory_growth_mib": Figure(much - little, target=8, at_least=False),
        "append_ms": figure(estimate(appended), 2.0, at_least=False),
        "append_fsync_ms": figure(estimate(flushed)),
    }


def refused(folder: Path) -> dict[str, Figure]:
    """Refusals that came for their reason and were recorded; shards that others could open."""
    found = refusals.recorded(folder / "refusals")
    opened, tried = refusals.opened_by_others(folder / "strangers")
    return {
        "refusals_recorded": share(sum(found.values()), len(found), 1.0),
        "shards_opened_without_every_key": Figure(opened, target=0, at_least=False),
        "attempts_to_open_without_every_key": Figure(tried),
    }


if __name__ == "__main__":
    main("custody", measure)
