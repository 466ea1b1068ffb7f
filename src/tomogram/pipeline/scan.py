"""The scan: every stage in order, then one manifest and one report."""

from __future__ import annotations

from pathlib import Path

from tomogram.models.model import Model
from tomogram.pipeline import manifest
from tomogram.pipeline.folder import opened
from tomogram.pipeline.given import given_model
from tomogram.pipeline.plan import Plan, fitted, plan_named
from tomogram.pipeline.session import Session
from tomogram.pipeline.stages import (
    anatomy,
    circuits,
    concepts,
    dictionaries,
    features,
    quality,
    text,
)
from tomogram.reference.shipped import world_of
from tomogram.report.tomogram import Tomogram, open_tomogram
from tomogram.store.allocator import keep_freed_memory
from tomogram.store.errors import TomogramError


def scan(
    model: str | Path | Model | None = None,
    *,
    text: str | Path | None = None,
    out: str | Path | None = None,
    plan: str | Plan = "standard",
    dictionaries: str | Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    seed: int = 0,
    allow_pickle: bool = False,
) -> Tomogram:
    """Look inside a language model and write a tomogram: evidence, `tomogram.json`, a report.

    A scan that was interrupted goes on where it stopped when it is called again with the same
    arguments; a stage whose inputs have not changed is not run again.

    Args:
        model: Hub name, local folder, GGUF file, or a loaded model; the shipped reference model
            when None.
        text: a file, a folder or a Hub dataset (`text.sources.read_documents`); `microworld` for
            the generator's text. When None, a reference model reads its generator's text and any
            other model reads text sampled from itself.
        out: the tomogram's folder; NAME.tomogram here when None.
        plan: quick, standard or deep, or a plan of your own.
        dictionaries: existing dictionaries to scan with, instead of training: a folder, or a place
            on the Hub (`dictionaries.formats.load.locate`).
        device, dtype: as `tomogram.load` takes them.
        allow_pickle: read pickled weights, of the model and of dictionaries, as plain tensors.
        seed: decides every random choice.

    Raises:
        TomogramError: the model, the text or the dictionaries cannot be used, or the folder cannot
            be written.
    """
    keep_freed_memory()
    chosen = plan_named(plan) if isinstance(plan, str) else plan
    loaded = given_model(model, device=device, dtype=dtype, allow_pickle=allow_pickle)
    folder = Path(out) if out is not None else Path(f"{_file_name(loaded.name)}.tomogram")
    with opened(folder):
        session = Session(
            loaded, fitted(chosen, loaded), folder, seed, world_of(loaded.module.config)
        )
        source = None if text is None else str(text)
        _stages(session, source, dictionaries, allow_pickle)
    return open_tomogram(folder)


def _stages(
    session: Session, source: str | None, existing: str | Path | None, allow_pickle: bool
) -> None:
    stages = [text.stage(session, source)]
    texts = text.run(session, source)
    stages.append(anatomy.stage(session, texts.held_out))
    found = anatomy.run(session, texts.held_out)
    if existing is None:
        stages.append(dictionaries.stage(session, texts.train))
        made = dictionaries.run(session, texts.train)
    else:
        made = dictionaries.bring(session, texts.train, existing, allow_pickle=allow_pickle)
    stages.append(quality.stage(session, texts, made.digest))
    measured = quality.run(session, texts, made.dictionaries, made.digest)
    stages.append(features.stage(session, texts, made.digest))
    surveyed = features.run(session, texts, made.dictionaries, made.digest)
    matched = None
    if session.world is not None and text.kind(session, source) == text.MICROWORLD:
        stages.append(concepts.stage(session, made.digest))
        matched = concepts.run(session, made.dictionaries, made.digest)
    stages.append(circuits.stage(session, texts, made.digest))
    traced = circuits.run(session, texts, made.dictionaries, made.digest)
    manifest.write(
        session,
        manifest.Results(source, texts, found, made, measured, surveyed, matched, traced),
        stages,
    )


def _file_name(name: str) -> str:
    """The model's name as a folder may be called."""
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-")
    if not kept:
        raise TomogramError("The model's name gives no folder name; say where to write with --out.")
    return kept
