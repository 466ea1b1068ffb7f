"""A stranger's check of a tomogram: a sample of its measurements, made again from the model."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tomogram.custody.verify import Check, Outcome
from tomogram.models.anatomy import parameters
from tomogram.models.model import Model
from tomogram.pipeline.given import given_model
from tomogram.pipeline.rerun import anatomy, exemplars, quality
from tomogram.pipeline.rerun.judging import Repeated, judge
from tomogram.pipeline.rerun.sample import Sample
from tomogram.pipeline.rerun.shaken import shaken
from tomogram.pipeline.scanned import scanned_dictionaries
from tomogram.report.tomogram import Tomogram, open_tomogram
from tomogram.store import progress
from tomogram.store.errors import TomogramError
from tomogram.text.packing import load_packed

SHAKES = 3
"""How often the weights are moved to see what rounding changes."""


def rerun(
    folder: Path,
    model: str | Path | Model,
    *,
    seed: int,
    sample: int = 4,
    dictionaries: str | Path | None = None,
) -> list[Check]:
    """Measure a sample of a tomogram's figures again and compare each with what it records.

    Of each kind (heads, depths, dictionaries, units) at most `sample` are drawn, and the model's
    loss always. How far a figure may lie off is measured on the spot: it is taken `SHAKES` times
    more with every weight moved in its last place.

    Args:
        folder: the tomogram.
        model: the model it is about: a folder, a GGUF file, a Hub name, or a loaded model.
        seed: decides the draw; whoever made the tomogram should not know it.
        dictionaries: where the dictionaries are, for a scan that brought its own.

    Raises:
        TomogramError: the folder holds no finished scan, or the model cannot be loaded.
    """
    tomogram = open_tomogram(folder)
    loaded = given_model(model)
    recorded = tomogram.manifest.model.digest
    if loaded.digest != recorded:
        reason = (
            f"{loaded.name} has the digest {loaded.digest[:12]}, the scanned model"
            f" {recorded[:12]}: nothing was measured again."
        )
        return [Check("model", Outcome.UNCHECKED, reason)]
    figures, missing = repeat(tomogram, loaded, seed=seed, sample=sample, dictionaries=dictionaries)
    return [
        Check("model", Outcome.REPRODUCED, "its weights have the recorded digest."),
        _parameters(tomogram, loaded),
        *missing,
        *map(judge, figures),
    ]


def repeat(
    tomogram: Tomogram,
    model: Model,
    *,
    seed: int,
    sample: int,
    dictionaries: str | Path | None = None,
) -> tuple[list[Repeated], list[Check]]:
    """The drawn figures as measured again, and the kinds that could not be measured."""
    samples: list[Sample] = []
    missing: list[Check] = []
    for name, made in _samples(tomogram, model, random.Random(seed), seed, sample, dictionaries):
        if isinstance(made, Sample):
            samples.append(made)
        else:
            missing.append(Check(name, Outcome.UNCHECKED, made))
    return _repeated(model, samples), missing


def _samples(
    tomogram: Tomogram,
    model: Model,
    generator: random.Random,
    seed: int,
    n: int,
    source: str | Path | None,
) -> Iterator[tuple[str, Sample | str]]:
    """Each kind's sample, or why it cannot be measured again."""
    manifest = tomogram.manifest
    held_out = load_packed(tomogram.folder / "text" / "held_out.safetensors")
    yield "loss", quality.loss(manifest, held_out)
    yield "heads", anatomy.heads(manifest, n, generator)
    yield "depths", anatomy.lens(manifest, held_out, n, generator)
    try:
        found = scanned_dictionaries(tomogram, model, source)
    except TomogramError as error:
        yield "dictionaries", str(error)
        found = ()
    if found:
        yield "dictionaries", quality.dictionaries(manifest, held_out, found, n, generator)
    yield "units", exemplars.exemplars(tomogram.features, tomogram.text, found, n, seed)


def _repeated(model: Model, samples: list[Sample]) -> list[Repeated]:
    found: dict[str, list[float]] = defaultdict(list)
    with progress.task("rerun", total=(1 + SHAKES) * len(samples), unit="measurements") as task:
        for turn in range(1 + SHAKES):
            subject = model if turn == 0 else shaken(model, turn)
            for sample in samples:
                for name, value in sample.measure(subject).items():
                    found[name].append(value)
                task.advance()
    return [
        Repeated(name, recorded, found[name][0], tuple(found[name][1:]))
        for sample in samples
        for name, recorded in sample.recorded.items()
    ]


def _parameters(tomogram: Tomogram, model: Model) -> Check:
    if parameters(model) == tomogram.manifest.model.parameters:
        return Check("parameters", Outcome.REPRODUCED, "every component has as many as recorded.")
    return Check("parameters", Outcome.DIFFERS, "the components have other numbers than recorded.")
