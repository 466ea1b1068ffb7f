"""Every unit of a scan over the text: statistics, exemplars, promoted tokens, labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.features.labels import Label, Labeller
from tomogram.features.promoted import (
    Promoted,
    latent_directions,
    neuron_directions,
    promoted,
)
from tomogram.features.related import related, write_related
from tomogram.features.survey import Observation, readers, survey
from tomogram.features.tables import Described, write_tables
from tomogram.pipeline.session import Session
from tomogram.pipeline.stages.text import Texts
from tomogram.store import progress
from tomogram.store.atomic import write_bytes
from tomogram.store.canonical import readable_json
from tomogram.store.estimates import estimate
from tomogram.store.schema import Estimate, Record, UnitGroup
from tomogram.store.stage import Stage, Work
from tomogram.text.packing import PackedText
from tomogram.text.spelling import load_spelling

VERSION = 2
PASSES = 0.5
"""A label passes its test when its F1 on unseen text is surely above this (95 % interval)."""


class Surveyed(Record):
    """What the stage found, counted; the units themselves stand in the tables."""

    groups: tuple[UnitGroup, ...]
    labelled: Estimate | None


def stage(session: Session, texts: Texts, dictionaries: str) -> Stage:
    """The stage for texts and the digest of what made the dictionaries."""
    return Stage(
        session.folder,
        "features",
        VERSION,
        session.inputs(
            text=texts.train.digest,
            tokens=session.plan.surveyed_tokens,
            dictionaries=dictionaries,
            neurons=list(session.neuron_layers),
        ),
    )


def run(
    session: Session, texts: Texts, dictionaries: Sequence[Dictionary], digest: str
) -> Surveyed:
    """Run the stage unless it is done, and read its counts."""
    path = stage(session, texts, digest).run(
        lambda work: _body(session, texts.train, dictionaries, work)
    )
    return Surveyed.model_validate_json((path / "counts.json").read_bytes())


def _body(
    session: Session, text: PackedText, dictionaries: Sequence[Dictionary], work: Work
) -> None:
    rows = np.arange(max(1, min(text.rows, session.plan.surveyed_tokens // text.context)))
    read = text.take(rows)
    found = readers(session.model, read, dictionaries, neurons=session.neuron_layers)
    with progress.task("features", total=read.n_tokens, unit="tokens") as task:
        observed = survey(
            session.model, read, found, batch_rows=session.batch_rows, advance=task.advance
        )
    labeller = Labeller(read, next(iter(observed.values())).sample.rows)
    directions = _directions(session, dictionaries)
    effects = _promoted(session, directions)
    families = []
    with progress.task("labels", total=len(observed), unit="families") as task:
        for name, observation in observed.items():
            families.append(Described(observation, labeller.label(observation), effects[name]))
            task.advance()
    spelling = load_spelling(session.folder / "text" / "vocabulary.json")
    write_tables(families, spelling, work.results)
    with progress.task("related units", total=1, unit="tables") as task:
        write_related(related(list(observed.values()), directions), work.results)
        task.advance()
    counts = Surveyed(
        groups=tuple(_group(f.observation, f.labels) for f in families),
        labelled=_labelled(families),
    )
    data = readable_json(counts.model_dump(mode="json"))
    write_bytes(work.results / "counts.json", data.encode("ascii"))


def _directions(
    session: Session, dictionaries: Sequence[Dictionary]
) -> dict[str, Float[Tensor, "units d_model"] | None]:
    """What each family's units write into the residual stream, by the family's name."""
    directions = {d.name: latent_directions(session.model, d) for d in dictionaries}
    return directions | {
        f"neurons.{n}": neuron_directions(session.model, n) for n in session.neuron_layers
    }


def _promoted(
    session: Session, directions: Mapping[str, Float[Tensor, "units d_model"] | None]
) -> dict[str, Promoted | None]:
    """What each family's units do to the logits, by the family's name."""
    return {
        name: None if found is None else promoted(session.model, found)
        for name, found in directions.items()
    }


def _passes(label: Label | None) -> bool:
    return label is not None and label.f1.low >= PASSES


def _group(observation: Observation, labels: Sequence[Label | None]) -> UnitGroup:
    family = observation.family
    live = observation.statistics.count > 0
    # A label is only said of a unit that fires.
    own = [label for label, fires in zip(labels, live, strict=True) if label and fires]
    scores = np.array([label.f1.value for label in own])
    return UnitGroup(
        name=family.name,
        kind=family.kind,
        layer=family.layer,
        units=family.size,
        live=int(live.sum()),
        labelled=len(own),
        passing=sum(map(_passes, own)),
        label_score=estimate(scores) if len(scores) else None,
    )


def _labelled(families: Sequence[Described]) -> Estimate | None:
    """Share of the latents that fire whose label passes its test; neurons do not count."""
    passed = [
        np.array([_passes(label) for label in family.labels])[
            family.observation.statistics.count > 0
        ]
        for family in families
        if family.observation.family.kind == "latent"
    ]
    flat = np.concatenate(passed) if passed else np.zeros(0)
    return estimate(flat.astype(float)) if len(flat) else None
