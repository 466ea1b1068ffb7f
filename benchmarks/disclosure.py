"""Disclosure: are the documents what their formats want, and can a stranger rerun what they say?

`python -m benchmarks.disclosure [--quick] [--json]`. The reference model is scanned (or read from
`TOMOGRAM_BENCHMARK_SCAN`, a folder with a finished scan of it), disclosed in every format, and a
sample of its measurements is made again.

* formats: written, and validated or read back by their own libraries, of all there are. One whose
  library is not installed is left out and counts against it, and its name is printed.
* rerun: over several draws, the share of honest figures that is called different (none should be),
  the share that is reproduced, and of figures that were forged by a percent and by a tenth of one
  the share that is found.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.harness import Figure, main, share
from tomogram.custody.verify import Outcome
from tomogram.disclosure.eu_form import filled
from tomogram.disclosure.facts import gather
from tomogram.disclosure.formats import ALL, FORMATS, write
from tomogram.pipeline.rerun.judging import Repeated, judge
from tomogram.pipeline.rerun.rerun import repeat
from tomogram.pipeline.scan import scan
from tomogram.pipeline.scanned import scanned_model
from tomogram.report.tomogram import Tomogram, open_tomogram

FORGED = (0.01, 0.001)


def measure(quick: bool) -> dict[str, Figure]:
    """All figures."""
    with _scanned() as tomogram, TemporaryDirectory() as out:
        return _documents(tomogram, Path(out)) | _rerun(tomogram, draws=1 if quick else 5)


@contextmanager
def _scanned() -> Iterator[Tomogram]:
    given = os.environ.get("TOMOGRAM_BENCHMARK_SCAN")
    if given:
        yield open_tomogram(given)
        return
    with TemporaryDirectory() as folder:
        yield scan(out=Path(folder) / "microworld.tomogram", plan="quick")


def _documents(tomogram: Tomogram, out: Path) -> dict[str, Figure]:
    facts = gather(tomogram.folder, made="2026-01-01")
    start = time.perf_counter()
    written = write(facts, [ALL], out)
    seconds = time.perf_counter() - start
    for name, reason in written.left_out.items():
        print(f"left out: {name}: {reason}", file=sys.stderr)
    form = filled(facts)
    return {
        "formats written": Figure(len(FORMATS) - len(written.left_out), target=len(FORMATS)),
        "seconds for all formats": Figure(seconds),
        "largest file in kB": Figure(max(path.stat().st_size for path in written.files) / 1e3),
        "items of the EU form that a scan fills": Figure(len(form.items) - len(form.not_stated)),
        "of these, in part": Figure(len(form.in_part)),
        "items of the EU form": Figure(len(form.items)),
    }


def _rerun(tomogram: Tomogram, draws: int) -> dict[str, Figure]:
    model = scanned_model(tomogram)
    figures: list[Repeated] = []
    start = time.perf_counter()
    for seed in range(draws):
        found, missing = repeat(tomogram, model, seed=seed, sample=4)
        assert not missing
        figures += found
    seconds = (time.perf_counter() - start) / draws
    outcomes = [judge(each).outcome for each in figures]
    differ = sum(outcome is Outcome.DIFFERS for outcome in outcomes)
    same = sum(outcome is Outcome.REPRODUCED for outcome in outcomes)
    measured = {
        "honest figures called different": share(differ, len(figures), 0.0, at_least=False),
        "honest figures reproduced": share(same, len(figures), 0.9),
        "median relative tolerance": Figure(
            float(np.median([e.tolerance / abs(e.recorded) for e in figures if e.recorded]))
        ),
        "seconds a rerun": Figure(seconds),
    }
    for change, target in zip(FORGED, (0.9, None), strict=True):
        caught = sum(judge(_forged(each, change)).outcome is Outcome.DIFFERS for each in figures)
        name = f"figures forged by {change:.1%} that are found"
        measured[name] = share(caught, len(figures), target)
    return measured


def _forged(figure: Repeated, change: float) -> Repeated:
    return replace(figure, recorded=figure.recorded * (1 + change))


if __name__ == "__main__":
    main("disclosure", measure)
