"""Viewer: how fast the list of 100,000 features answers, and how large the page's own files are.

The scan is made up (`benchmarks.synthetic`), with twelve exemplars a feature. Questions are those
of the features page and of a feature's page: words as they are typed, filters, every order, places
from the first row to the last, one feature's exemplars and what is related to it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Figure, main
from benchmarks.harvest import subject
from benchmarks.synthetic import made_scan, words_of
from tomogram.viewer import bundle
from tomogram.viewer.catalogue import SORTS, Catalogue, Wanted
from tomogram.viewer.labels import Labels
from tomogram.viewer.live import Live
from tomogram.viewer.related import Related

UNITS, EXEMPLARS = 100_000, 12
QUESTIONS = 200
LATEST_MS = 100.0


def measure(quick: bool) -> dict[str, Figure]:
    """Time to open, then the 95 % quantile of each kind of answer in milliseconds."""
    units = 6_000 if quick else UNITS
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        search = made_scan(Path(name), subject(), units, rng, exemplars=EXEMPLARS)
        tables, live = search.tomogram.features, Live(search)
        start = time.perf_counter()
        catalogue = Catalogue(tables, search.catalogue, Labels({}, {}))
        opened = time.perf_counter() - start
        start = time.perf_counter()
        live.find("words", "the")
        indexed = time.perf_counter() - start
        related = Related(tables, search.catalogue)
        total = len(search.catalogue)
        words = words_of(search)
        ranks = np.unique(np.geomspace(1, len(words) - 1, QUESTIONS).astype(int))
        # As they are typed: a whole word and the beginning of another.
        typed = [f"{words[rank]} {words[int(rng.integers(len(words)))][:3]}*" for rank in ranks]

        def one() -> tuple[str, int]:
            return search.catalogue.name(int(rng.integers(total)))

        asked: dict[str, Callable[[], Any]] = {
            "search by words": lambda: catalogue.rows(
                Wanted(kind="latent"), live.find("words", str(rng.choice(typed)))
            ),
            "sorted page anywhere": lambda: catalogue.rows(
                Wanted(
                    sort=str(rng.choice(sorted(SORTS))),
                    descending=bool(rng.integers(2)),
                    offset=int(rng.integers(total)),
                )
            ),
            "exemplars of a feature": lambda: catalogue.exemplars(*_listed(one())),
            "what is related to a feature": lambda: related.of(*_listed(one())),
        }
        figures = {
            f"open {total:,} features, seconds": Figure(opened),
            "making the index of words, seconds": Figure(indexed),
        }
        for words_said, ask in asked.items():
            taken = sorted(_milliseconds(ask) for _ in range(QUESTIONS))
            at = taken[int(0.95 * QUESTIONS)]
            figures[f"{words_said}, ms (95 %)"] = Figure(
                at, taken[0], taken[-1], LATEST_MS, at_least=False
            )
    size = sum(len(bundle.asset(asset)) for asset in bundle.ASSETS)
    figures["page's own files, kB"] = Figure(size / 1000)
    return figures


def _listed(key: tuple[str, int]) -> tuple[str, list[int]]:
    return key[0], [key[1]]


def _milliseconds(ask: Callable[[], Any]) -> float:
    start = time.perf_counter()
    ask()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main("viewer", measure)
