"""Put what the stages found into `tomogram.json`, `timings.json` and `report.html`."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import torch

import tomogram
from tomogram.models.anatomy import parameters
from tomogram.pipeline.labels import label_files
from tomogram.pipeline.session import Session
from tomogram.pipeline.stages import text as text_stage
from tomogram.pipeline.stages.dictionaries import Made
from tomogram.pipeline.stages.features import Surveyed
from tomogram.pipeline.stages.quality import Measured
from tomogram.pipeline.stages.text import Texts
from tomogram.reference.recipe import REFERENCE
from tomogram.report.page import write_report
from tomogram.report.words import plural
from tomogram.store.atomic import write_bytes
from tomogram.store.canonical import readable_json
from tomogram.store.findings import AUDITS
from tomogram.store.schema import (
    Anatomy,
    Circuits,
    Concepts,
    Coverage,
    DictionaryRecord,
    Manifest,
    ModelRecord,
    NotMeasured,
    Plan,
    Run,
    StageTiming,
    TextRecord,
    Timings,
    manifest_bytes,
)
from tomogram.store.stage import Stage

PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "scipy", "scikit-learn")
"""Libraries whose version may decide a figure."""


@dataclass(frozen=True, eq=False)
class Results:
    """What the stages of one scan found."""

    source: str | None
    texts: Texts
    anatomy: Anatomy
    made: Made
    measured: Measured
    surveyed: Surveyed
    concepts: Concepts | None
    circuits: Circuits


def write(session: Session, results: Results, stages: Sequence[Stage]) -> None:
    """Write the manifest last but the report, each whole or not at all."""
    made = manifest(session, results, stages)
    timings = Timings(
        stages={s.name: StageTiming(seconds=s.seconds(), attempts=s.attempts()) for s in stages}
    )
    folder = session.folder
    write_bytes(folder / "timings.json", readable_json(timings.model_dump(mode="json")).encode())
    write_bytes(folder / "tomogram.json", manifest_bytes(made))
    write_report(folder)


def manifest(session: Session, results: Results, stages: Sequence[Stage]) -> Manifest:
    """All of `tomogram.json`."""
    plan = session.plan
    return Manifest(
        model=_model(session),
        text=_text(session, results),
        plan=Plan(name=plan.name, settings=plan.settings()),
        sites=tuple(str(site) for site in session.model.sites),
        dictionaries=_dictionaries(results.made, results.measured),
        coverage=Coverage(
            loss=results.measured.loss,
            unigram_loss=results.measured.unigram_loss,
            spliced=results.measured.spliced,
            labelled=results.surveyed.labelled,
        ),
        anatomy=results.anatomy,
        groups=results.surveyed.groups,
        concepts=results.concepts,
        circuits=results.circuits,
        not_measured=tuple(_not_measured(session, results)),
        run=_run(session, results),
        files={
            **{name: sha for stage in stages for name, sha in stage.files().items()},
            **label_files(session.folder),
        },
    )


def _model(session: Session) -> ModelRecord:
    model = session.model
    return ModelRecord(
        name=model.name,
        digest=model.digest,
        family=model.module.config.model_type,
        dtype=str(model.dtype).removeprefix("torch."),
        weights=model.stored_as,
        context=model.context,
        n_layers=model.n_layers,
        n_heads=model.n_heads,
        d_model=model.d_model,
        d_mlp=model.d_mlp,
        d_vocab=model.d_vocab,
        tied=bool(model.module.config.tie_word_embeddings),
        parameters=parameters(model),
    )


def _text(session: Session, results: Results) -> TextRecord:
    kind = text_stage.kind(session, results.source)
    train, held_out = results.texts.train, results.texts.held_out
    # A path says nothing to a stranger: the file's own name is enough beside the digest.
    name = (results.source or kind).rstrip("/").rpartition("/")[2]
    return TextRecord(
        kind=kind,
        name=results.source or kind if kind == "dataset" else name,
        digest=train.digest,
        documents=train.n_documents + held_out.n_documents,
        tokens=train.n_tokens + held_out.n_tokens,
        held_out_tokens=held_out.n_tokens,
        context=train.context,
        seed=session.seed if kind in ("sampled", "microworld") else None,
    )


def _dictionaries(made: Made, measured: Measured) -> tuple[DictionaryRecord, ...]:
    return tuple(
        DictionaryRecord(
            name=d.name,
            kind=d.kind,
            read=str(d.read),
            write=str(d.write),
            layer=d.write.layer or 0,
            d_in=d.d_in,
            d_out=d.d_out,
            d_dict=d.d_dict,
            k=d.config().get("k"),
            trained_tokens=made.trained_tokens,
            source=made.source,
            quality=measured.dictionaries[d.name],
        )
        for d in made.dictionaries
    )


def _run(session: Session, results: Results) -> Run:
    name = session.model.name
    words = ["tomogram", "scan", *([] if name == REFERENCE.name else [name])]
    if results.source:
        words += ["--text", results.source.rstrip("/").rpartition("/")[2]]
    if results.made.source:
        words += ["--dictionaries", results.made.source]
    words += ["--plan", session.plan.name, "--seed", str(session.seed)]
    return Run(
        command=shlex.join(words),
        tomogram=tomogram.__version__,
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        seeds={"scan": session.seed},
        threads=torch.get_num_threads(),
        device=session.model.device.type,
    )


def _not_measured(session: Session, results: Results) -> list[NotMeasured]:
    """What a reader may look for in vain."""
    missing = [
        NotMeasured(
            what="How other answers come about (circuits)",
            why=f"This scan traced {plural(results.circuits.tried, 'single prediction')}; it says"
            " nothing of how the model makes any other, and looked for no circuit of a whole"
            " behaviour.",
        ),
        NotMeasured(
            what=AUDITS,
            why="A scan runs no audits; `tomogram audit` does, and without it the absence of a "
            "finding means nothing.",
        ),
        NotMeasured(
            what="What changes when a feature is turned",
            why="Features are described by where they fire and what they promote; this scan did "
            "not intervene on single features.",
        ),
        NotMeasured(
            what="What attention moves between tokens",
            why="Heads are scored for three patterns only; no dictionary reads attention.",
        ),
    ]
    left_out = sorted(set(range(session.model.n_layers)) - set(session.layers))
    if left_out:
        missing.append(
            NotMeasured(
                what=f"Features of {len(left_out)} of {session.model.n_layers} layers",
                why=f"The plan {session.plan.name} gives dictionaries to {len(session.layers)} "
                f"layers; without: {', '.join(map(str, left_out))}.",
            )
        )
    without = sorted(set(session.layers) - set(session.neuron_layers))
    if without:
        missing.append(
            NotMeasured(
                what=f"Neurons of {len(without)} layers",
                why="Their MLP is a mixture of experts, which has no one set of neurons.",
            )
        )
    if results.concepts is None:
        missing.append(
            NotMeasured(
                what="How well features match known concepts",
                why="The truth about this text is not known; it is for the microworld's text.",
            )
        )
    return missing
