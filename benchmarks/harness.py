"""What all benchmarks share: figures with intervals and targets, and how they are printed.

A benchmark is a module with a function that measures and a last line that runs it:

    def measure(quick: bool) -> dict[str, Figure]: ...

    if __name__ == "__main__":
        main("harvest", measure)

`python -m benchmarks.harvest` prints a table; `--json` prints one JSON object as the last line;
`--quick` is a smoke run whose figures mean nothing. Figures keep their names over time.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from tomogram.store import estimates
from tomogram.store.canonical import Json, canonical_json
from tomogram.store.schema import Estimate


def own_memory(field: str = "VmHWM") -> int:
    """Bytes of memory of this process, from the kernel's own account of it (Linux).

    Not getrusage: its peak is inherited from the process that started this one.

    Args:
        field: VmHWM is the most it has held, VmRSS what it holds now.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field + ":"))
    return 1024 * int(line.split()[1])


@dataclass(frozen=True)
class Figure:
    """A measured number.

    low, high: bounds of its 95 % interval, None where there is none.
    target: the number to reach, None where there is none. at_least: whether more is better.
    """

    value: float
    low: float | None = None
    high: float | None = None
    target: float | None = None
    at_least: bool = True

    def __post_init__(self) -> None:
        for name in ("value", "low", "high", "target"):
            number = getattr(self, name)
            if number is None:
                continue
            if not math.isfinite(number):
                raise ValueError(f"{name} is not finite: {number}")
            object.__setattr__(self, name, float(number))  # numpy's scalars become plain floats

    @property
    def met(self) -> bool | None:
        """Whether the value reaches the target; None where there is no target."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def figure(estimate: Estimate, target: float | None = None, *, at_least: bool = True) -> Figure:
    """The figure of an estimate (`store.estimates`), whose intervals are the product's own."""
    return Figure(estimate.value, estimate.low, estimate.high, target, at_least)


def share(hits: int, n: int, target: float | None = None, *, at_least: bool = True) -> Figure:
    """The figure of a share, with its exact interval."""
    return figure(estimates.share(hits, n), target, at_least=at_least)


def ratio(
    numerators: Sequence[float], denominators: Sequence[float], target: float | None = None
) -> Figure:
    """Median of paired ratios, for two things timed in alternation on a machine that is busy.

    Pair by pair both had the same machine. The interval is the distribution-free one of a median,
    from order statistics (Conover 1999, section 3.2); fewer than six pairs have none.
    Raises ValueError where the two differ in length or are empty.
    """
    pairs = np.array(list(zip(numerators, denominators, strict=True)), dtype=np.float64)
    if len(pairs) == 0:
        raise ValueError("a ratio needs at least one pair")
    ratios = pairs[:, 0] / pairs[:, 1]
    median = float(np.median(ratios))
    if len(ratios) < 6:
        return Figure(median, target=target)
    bounds = stats.quantile_test(ratios, q=median, p=0.5).confidence_interval(0.95)
    return Figure(median, float(bounds.low), float(bounds.high), target)


def machine() -> dict[str, Json]:
    """The machine a benchmark ran on, as far as its figures depend on it."""
    import torch

    from tomogram.pipeline.doctor import cpu_name, memory_limits, usable_cores

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "memory_bytes": memory_limits()[0],
        "gpu": gpu,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def as_json(
    benchmark: str, figures: Mapping[str, Figure], on: Mapping[str, Json]
) -> dict[str, Json]:
    """The JSON object of a benchmark's figures, measured on the machine `on`."""
    return {
        "benchmark": benchmark,
        "machine": dict(on),
        "figures": {
            name: {
                "value": figure.value,
                "low": figure.low,
                "high": figure.high,
                "target": figure.target,
                "met": figure.met,
            }
            for name, figure in figures.items()
        },
    }


def as_table(figures: Mapping[str, Figure]) -> str:
    """The figures as lines of text for a person."""
    rows = [("figure", "value", "95 % interval", "target", "")]
    for name, figure in figures.items():
        bounds = (figure.low, figure.high)
        interval = " to ".join("" if bound is None else f"{bound:.4g}" for bound in bounds)
        sign = "≥" if figure.at_least else "≤"
        target = "" if figure.target is None else f"{sign} {figure.target:.4g}"
        verdict = {None: "", True: "met", False: "missed"}[figure.met]
        interval = "" if bounds == (None, None) else interval
        rows.append((name, f"{figure.value:.4g}", interval, target, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def main(
    benchmark: str,
    measure: Callable[[bool], Mapping[str, Figure]],
    arguments: Sequence[str] | None = None,
) -> None:
    """Run a benchmark from the command line and print its figures.

    measure: takes `quick` and returns the figures by name. It may print to stdout; with `--json`
    the object is the last line.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{benchmark}")
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    parser.add_argument("--quick", action="store_true", help="smoke run; its figures mean nothing")
    options = parser.parse_args(arguments)
    figures = measure(options.quick)
    if options.json:
        print(canonical_json(as_json(benchmark, figures, machine())))
    else:
        print(as_table(figures))
    sys.stdout.flush()
