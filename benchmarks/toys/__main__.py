"""Toys: the share of planted features that every kind and shape of dictionary finds.

    python -m benchmarks.toys [--json] [--quick]

A feature counts as found when a latent's row has a cosine of .95 or more with what the feature
writes. Penalties and steps were chosen on seeds from 100 on, which are not measured here. Cases
with "random directions" are harder than what the field plants and have a smallest figure of their
own.
"""

from __future__ import annotations

import torch

from benchmarks.harness import Figure, figure, main
from benchmarks.toys.cases import CASES, Case, Make, cosines
from tomogram.dictionaries.schedule import Schedule
from tomogram.dictionaries.trainer import Settings, train
from tomogram.store.estimates import estimate

SEEDS = (0, 1, 2)
FOUND = 0.95
STEPS = 800
TARGET = 0.95


def measure(quick: bool) -> dict[str, Figure]:
    """Two figures for each shape and kind, and the smallest of each over all of them."""
    figures: dict[str, Figure] = {}
    for shape in CASES:
        figures |= of_shape(shape, 50 if quick else STEPS)
    return figures | _smallest(figures)


def _smallest(figures: dict[str, Figure]) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    for where, crowded in (("", False), (", random directions", True)):
        for what in ("share found", "mean max cosine"):
            values = [
                each.value
                for name, each in figures.items()
                if name.endswith(what) and ("random directions" in name) == crowded
            ]
            found[f"smallest {what}{where}"] = Figure(min(values), target=TARGET)
    return found


def of_shape(shape: str, steps: int) -> dict[str, Figure]:
    """Two figures for each kind that a shape comes in, with intervals over seeds."""
    figures: dict[str, Figure] = {}
    for kind, make in CASES[shape].kinds.items():
        found = [recovered(CASES[shape], make, seed, steps) for seed in SEEDS]
        shares = torch.stack([(each >= FOUND).double().mean() for each in found])
        means = torch.stack([each.double().mean() for each in found])
        name = f"{shape}, {kind}"
        figures[f"{name}: share found"] = figure(estimate(shares.numpy()), TARGET)
        figures[f"{name}: mean max cosine"] = figure(estimate(means.numpy()), TARGET)
    return figures


def recovered(case: Case, make: Make, seed: int, steps: int) -> torch.Tensor:
    """The largest cosine of each planted feature of a seed, after a training of so many steps."""
    world = case.world(seed)
    settings = Settings(Schedule(1e-2), dead_after=20_000, measured_tokens=4_096, seed=seed)
    (trained,) = train([make(case.shape)], world, steps, settings)
    return cosines(trained.W_dec, case.truth(world, trained))


if __name__ == "__main__":
    main("toys", measure)
