"""Search: how fast is a feature found among 100,000?

Synthetic tables of 100,000 features in 12 dictionaries (`benchmarks.synthetic`). The model whose
prompts and examples are read is stories15M (a random one of its shape where that is absent) with
dictionaries of random weights of that size. Each kind of search is asked many different things
after the indices stand; the figure is the 90th percentile in milliseconds.

    python -m benchmarks.search [--json] [--quick]
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Figure, main
from benchmarks.harvest import subject
from benchmarks.synthetic import made_scan, words_of
from tomogram.features.search.meaning import nearest

UNITS, LIMIT_MS = 100_000, 100.0


def measure(quick: bool) -> dict[str, Figure]:
    """Milliseconds of each kind of search."""
    units = 6_000 if quick else UNITS
    model = subject()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        search = made_scan(folder, model, units, rng, exemplars=2)
        words = words_of(search)
        started = time.perf_counter()
        search.by_words(words[0])
        built = time.perf_counter() - started
        asked = 20 if quick else 60
        # Words by rank: the commonest of them all stand in many exemplars.
        ranks = np.unique(np.geomspace(1, len(words) - 1, asked).astype(int))
        some = [words[i] for i in ranks]
        total = len(search.catalogue)
        names = [search.catalogue.name(int(i)) for i in rng.integers(0, total, asked)]
        sentences = [" ".join(rng.choice(words, 8)) for _ in range(3 * asked)]
        vectors = rng.standard_normal((units, 384)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        triples = [sentences[i : i + 3] for i in range(0, len(sentences), 3)]
        figures = {
            "one word": _milliseconds(search.by_words, some),
            "beginning of a word": _milliseconds(
                search.by_words, [f"{word[:3]}*" for word in some]
            ),
            "three words": _milliseconds(
                search.by_words, [" ".join(rng.choice(some, 3)) for _ in some]
            ),
            "promoted token": _milliseconds(search.by_promoted, some),
            "like a feature": _milliseconds(lambda name: search.like(*name), names),
            "three example sentences": _milliseconds(search.by_examples, triples),
            "meaning, without the encoder": _milliseconds(
                lambda i: nearest(vectors, np.arange(units), vectors[i], 160), range(asked)
            ),
        }
        index = sum(path.stat().st_size for path in (folder / "search").iterdir())
    return {
        **{f"{name}, ms": figure for name, figure in figures.items()},
        "features": Figure(units),
        "making the index of words, s": Figure(built),
        "index of words, bytes per 1,000 features": Figure(index / units * 1_000),
    }


def _milliseconds(search: Callable[[Any], object], asked: Sequence[Any]) -> Figure:
    search(asked[0])  # opens what is only opened once
    times = []
    for each in asked:
        start = time.perf_counter()
        search(each)
        times.append(1_000 * (time.perf_counter() - start))
    slow = float(np.quantile(times, 0.9))
    return Figure(slow, target=LIMIT_MS, at_least=False)


if __name__ == "__main__":
    main("search", measure)
