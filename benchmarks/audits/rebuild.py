"""Rebuild: how long the whole declared zoo takes from its seeds, planted and scored.

    python -m benchmarks.audits.rebuild --json     a round of each kind of part, in half an hour
    python -m benchmarks.audits.rebuild --quick    the round of the part `develop`

Parts that ask for the same work (recipes, doses, lessons, bases of the same size) are timed once,
by their first round in their first base, in CPU-seconds of one thread; a few of its models are
scored by everything that scores them, the base's own answers included. The hours are an estimate:
as many models of each kind, by two processes that never wait.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.audits.declaration import Part, read
from benchmarks.audits.zoo import folder_of, scored_by
from benchmarks.harness import Figure, main
from tomogram.audits.calibration.scoring import score_zoo
from tomogram.models.load import load
from tomogram.organisms.zoo import build

SCORED = 6
"""Models scored of each kind of part, evenly over its round."""
NIGHT = 12
"""Hours in which two cores have to be done."""
SHIPPED = "microworld"
Kind = tuple[object, ...]


@dataclass(frozen=True)
class Cost:
    """CPU-seconds a model."""

    plant: float
    score: float


def measure(quick: bool) -> dict[str, Figure]:
    """CPU-seconds a model by kind of part, and the hours of all on two cores."""
    parts = [part for part in read().parts if not quick or part.name == "develop"]
    costs: dict[Kind, Cost] = {}
    found: dict[str, Figure] = {}
    for part in parts:
        if kind(part) not in costs:
            cost = costs[kind(part)] = _cost(part)
            found[f"{part.name}: CPU-seconds a model, planted"] = Figure(cost.plant)
            found[f"{part.name}: CPU-seconds a model, scored"] = Figure(cost.score)
    found["models"] = Figure(sum(map(models, parts)))
    planted = sum(models(part) * costs[kind(part)].plant for part in parts)
    scored = sum(models(part) * costs[kind(part)].score for part in parts)
    found["hours planting, two cores"] = Figure(planted / 7200)
    found["hours in all, two cores"] = Figure(
        (planted + scored) / 7200, target=NIGHT, at_least=False
    )
    return found


def kind(part: Part) -> Kind:
    """What decides how long a model of a part takes."""
    return (
        part.families,
        part.recipes,
        part.doses,
        part.lessons > 0,
        part.bases == (SHIPPED,),
        part.beside_baselines,
    )


def models(part: Part) -> int:
    """How many models a part has in all."""
    return part.rounds * sum(len(part.orders(base, 0)) for base in part.bases)


def _cost(part: Part) -> Cost:
    """The first round of a part in its first base, planted anew; a few of its models scored."""
    base = load(folder_of(part.bases[0]))
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        files = build(base, part.orders(part.bases[0], 0), Path(folder))
        planted = time.process_time() - began
        some = files[:: max(1, len(files) // SCORED)][:SCORED]
        began = time.process_time()
        score_zoo(base, some, Path(folder) / "scores", only=scored_by(part))
        return Cost(planted / len(files), (time.process_time() - began) / len(some))


if __name__ == "__main__":
    main("audits rebuild", measure)
