"""Viewer: how fast the list of 100,000 features answers, and how large the page's own files are.

The table is made up, with the schema of a real one: labels of a few words out of 2,000, promoted
tokens out of 32,000, twelve exemplars a feature. Questions are those of the features page: words,
filters, every order, places from the first row to the last, and one feature's exemplars.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness import Figure, main
from tomogram.features.exemplars import REACH
from tomogram.features.statistics import BINS
from tomogram.features.tables import EXEMPLARS, FEATURES, Tables
from tomogram.viewer import bundle
from tomogram.viewer.catalogue import SORTS, Catalogue, Wanted

FAMILIES, EACH, PER_UNIT, VOCABULARY = 10, 12, 10, 32_000
QUESTIONS = 200
LATEST_MS = 100.0


def measure(quick: bool) -> dict[str, Figure]:
    """Time to open, then the 95 % quantile of each kind of answer in milliseconds."""
    units = 1_000 if quick else 10_000
    rng = np.random.default_rng(0)
    spelling = [f" word{i}" for i in range(VOCABULARY)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, units, rng)
        start = time.perf_counter()
        catalogue = Catalogue(Tables(folder), spelling)
        opened = time.perf_counter() - start
        total = FAMILIES * units
        asked: dict[str, Callable[[], Any]] = {
            "search by words": lambda: catalogue.rows(
                Wanted(words=f"word{rng.integers(2000)} word{rng.integers(20)}")
            ),
            "sorted page anywhere": lambda: catalogue.rows(
                Wanted(
                    sort=str(rng.choice(sorted(SORTS))),
                    descending=bool(rng.integers(2)),
                    offset=int(rng.integers(total)),
                )
            ),
            "exemplars of a feature": lambda: catalogue.exemplars(
                f"resid_post.{rng.integers(FAMILIES)}", [int(rng.integers(units))]
            ),
        }
        figures = {f"open {total:,} features, seconds": Figure(opened)}
        for words, ask in asked.items():
            taken = sorted(_milliseconds(ask) for _ in range(QUESTIONS))
            at = taken[int(0.95 * QUESTIONS)]
            figures[f"{words}, ms (95 %)"] = Figure(
                at, taken[0], taken[-1], LATEST_MS, at_least=False
            )
    size = sum(len(bundle.asset(asset)) for asset in bundle.ASSETS)
    figures["page's own files, kB"] = Figure(size / 1000)
    return figures


def _milliseconds(ask: Callable[[], Any]) -> float:
    start = time.perf_counter()
    ask()
    return 1000 * (time.perf_counter() - start)


def _write(folder: Path, units: int, rng: np.random.Generator) -> None:
    with pq.ParquetWriter(folder / "features.parquet", FEATURES, compression="zstd") as writer:
        for family in range(FAMILIES):
            writer.write_table(_features(family, units, rng))
    with pq.ParquetWriter(folder / "exemplars.parquet", EXEMPLARS, compression="zstd") as writer:
        for family in range(FAMILIES):
            writer.write_table(_exemplars(family, units, rng))


def _features(family: int, units: int, rng: np.random.Generator) -> pa.Table:
    count = rng.geometric(0.001, units)
    words = rng.integers(2000, size=(units, 3))
    labelled = rng.random(units) < 0.6
    score = [value if has else None for has, value in zip(labelled, rng.random(units), strict=True)]
    histogram = rng.poisson(3, (units, BINS))
    promoted = rng.integers(VOCABULARY, size=(units, PER_UNIT)).tolist()
    by = np.ones((units, PER_UNIT)).tolist()
    columns: dict[str, Any] = {
        "family": [f"resid_post.{family}"] * units,
        "kind": ["latent"] * units,
        "layer": np.full(units, family),
        "unit": np.arange(units),
        "index": np.arange(units),
        "side": np.ones(units),
        "tokens": np.full(units, 1_000_000),
        "count": count,
        "rate": count / 1e6,
        "mean": rng.random(units),
        "deviation": rng.random(units),
        "largest": rng.random(units) + 1,
        "histogram": histogram.tolist(),
        "promoted": promoted,
        "promoted_by": by,
        "suppressed": promoted,
        "suppressed_by": by,
        "label": [
            f"on “ word{a}”, “ word{b}” or “ word{c}”" if said else None
            for (a, b, c), said in zip(words, labelled, strict=True)
        ],
        "label_f1": score,
        "label_f1_low": score,
        "label_f1_high": score,
    }
    arrays = [
        pa.array(columns[field.name], field.type)
        if field.name in columns
        else pa.nulls(units, field.type)
        for field in FEATURES
    ]
    return pa.table(arrays, schema=FEATURES)


def _exemplars(family: int, units: int, rng: np.random.Generator) -> pa.Table:
    n = units * EACH
    windows = rng.integers(256, size=(n, 2 * REACH + 1), dtype=np.uint8)
    columns: dict[str, Any] = {
        "family": [f"resid_post.{family}"] * n,
        "unit": np.repeat(np.arange(units), EACH),
        "kind": ["top", "spread"] * (n // 2),
        "rank": np.tile(np.arange(EACH), units),
        "position": rng.integers(1_000_000, size=n),
        "document": rng.integers(4_000, size=n),
        "activation": rng.random(n),
        "peak": rng.random(n) + 1,
        "activations": [row.tobytes() for row in windows],
    }
    arrays = [
        pa.array(columns[field.name], field.type)
        if field.name in columns
        else pa.nulls(n, field.type)
        for field in EXEMPLARS
    ]
    return pa.table(arrays, schema=EXEMPLARS)


if __name__ == "__main__":
    main("viewer", measure)
