"""How well the dictionaries stand for the model, measured on held-out text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tomogram.activations.stream import stream
from tomogram.dictionaries import pca, quality
from tomogram.dictionaries.cost import Cost, cost, losses, spliced_losses, zero_losses
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.splice import Splice
from tomogram.dictionaries.trainer import gather
from tomogram.models.sites import Site
from tomogram.pipeline.session import Session
from tomogram.pipeline.stages.text import Texts
from tomogram.store import progress
from tomogram.store.atomic import write_bytes
from tomogram.store.canonical import readable_json
from tomogram.store.estimates import estimate
from tomogram.store.schema import Estimate, PcaBaseline, Quality, Record, Spliced
from tomogram.store.stage import Stage, Work
from tomogram.text.packing import PackedText

VERSION = 1
PCA_TOKENS = 65_536
"""Training tokens the principal components are taken from."""


class Measured(Record):
    """What the stage writes."""

    loss: Estimate
    unigram_loss: float
    dictionaries: dict[str, Quality]
    spliced: tuple[Spliced, ...]


def stage(session: Session, texts: Texts, dictionaries: str) -> Stage:
    """The stage for texts and the digest of the stage that made the dictionaries."""
    return Stage(
        session.folder,
        "quality",
        VERSION,
        session.inputs(
            train=texts.train.digest,
            held_out=texts.held_out.digest,
            dictionaries=dictionaries,
            rows=session.plan.measured_rows,
        ),
    )


def run(
    session: Session, texts: Texts, dictionaries: Sequence[Dictionary], digest: str
) -> Measured:
    """Run the stage unless it is done, and read its results."""
    made = stage(session, texts, digest).run(lambda work: _body(session, texts, dictionaries, work))
    return Measured.model_validate_json((made / "quality.json").read_bytes())


def _body(session: Session, texts: Texts, dictionaries: Sequence[Dictionary], work: Work) -> None:
    measured = _measure(session, texts, dictionaries)
    data = readable_json(measured.model_dump(mode="json"))
    write_bytes(work.results / "quality.json", data.encode("ascii"))


@torch.no_grad()
def _measure(session: Session, texts: Texts, dictionaries: Sequence[Dictionary]) -> Measured:
    model = session.model
    rows = _predicting_rows(texts.held_out)[: session.plan.measured_rows]
    text = texts.held_out.take(rows)
    projections = _projections(session, texts.train, dictionaries)
    reconstructions = _reconstructions(session, texts.held_out, dictionaries, projections)
    clean = losses(model, text, batch_rows=session.batch_rows)
    found: dict[str, Quality] = {}
    with progress.task("quality", total=3 * len(dictionaries) + 6, unit="passes") as task:

        def priced(splices: Sequence[Splice]) -> Cost:
            spliced = spliced_losses(model, text, splices)
            zero = zero_losses(model, text, [splice.write for splice in splices])
            task.advance(2)
            return cost(clean, spliced, zero, seed=session.seed)

        for dictionary in dictionaries:
            splice = Splice.of(dictionary)
            alone = priced([splice])
            own, sparsity, flat = reconstructions[dictionary.name]
            projected = Splice(dictionary.write, dictionary.write, projections[dictionary.write])
            rise = spliced_losses(model, text, [projected]) - clean
            task.advance(1)
            found[dictionary.name] = Quality(
                tokens=own.tokens,
                l0=sparsity.l0,
                fvu=own.fvu,
                rise=alone.rise,
                recovered=alone.recovered,
                shrinkage=own.shrinkage,
                dead=sparsity.dead,
                dense=sparsity.dense,
                pca=PcaBaseline(
                    rank=projections[dictionary.write].directions.shape[1],
                    fvu=flat.fvu,
                    rise=estimate(rise, seed=session.seed),
                ),
            )
        spliced = []
        for family, members in _families(dictionaries).items():
            together = priced([Splice.of(dictionary) for dictionary in members])
            spliced.append(
                Spliced(
                    family=family,
                    dictionaries=tuple(d.name for d in members),
                    rise=together.rise,
                    recovered=together.recovered,
                )
            )
    return Measured(
        loss=estimate(clean, seed=session.seed),
        unigram_loss=_unigram_loss(texts.train, text, model.d_vocab),
        dictionaries=found,
        spliced=tuple(spliced),
    )


def _families(dictionaries: Sequence[Dictionary]) -> dict:
    """Which dictionaries are spliced in together: those of one shape."""
    families = {
        "residual": [d for d in dictionaries if d.read == d.write],
        "transcoders": [d for d in dictionaries if d.read != d.write],
    }
    return {name: members for name, members in families.items() if members}


def _predicting_rows(text: PackedText) -> np.ndarray:
    """Rows with at least one token that follows another of its document."""
    inside = text.documents[:, 1:] == text.documents[:, :-1]
    return np.flatnonzero(inside.any(1))


def _projections(
    session: Session, text: PackedText, dictionaries: Sequence[Dictionary]
) -> dict[Site, pca.Projection]:
    """The leading principal directions at every site written to, as many as k."""
    sites = sorted({d.write for d in dictionaries}, key=str)
    rows = range(max(1, min(text.rows, PCA_TOKENS // text.context)))
    moments: dict[Site, pca.Moments] = {}
    for batch in stream(session.model, text, sites, batch_rows=session.batch_rows, rows=rows):
        for site in sites:
            part = pca.Moments.of(batch[site])
            moments[site] = moments[site] + part if site in moments else part
    return {site: pca.fit(moments[site], session.plan.k) for site in sites}


def _reconstructions(
    session: Session,
    text: PackedText,
    dictionaries: Sequence[Dictionary],
    projections: dict[Site, pca.Projection],
) -> dict[str, tuple[quality.Reconstruction, quality.Sparsity, quality.Reconstruction]]:
    """Each dictionary's reconstruction and sparsity, and that of the projection at its site."""
    sites = sorted({s for d in dictionaries for s in (d.read, d.write)}, key=str)
    found: dict = {}
    with progress.task("held-out text", total=text.n_tokens, unit="tokens") as task:
        for batch in stream(session.model, text, sites, batch_rows=session.batch_rows):
            for d in dictionaries:
                x, y = gather(batch, d.shape.reads), gather(batch, d.shape.writes)
                flat = quality.Reconstruction.of(y, projections[d.write](y))
                part = (*quality.measure(d, x, y), flat)
                seen = found.get(d.name)
                found[d.name] = (
                    part if seen is None else tuple(a + b for a, b in zip(seen, part, strict=True))
                )
            task.advance(len(batch.rows) * text.context)
    return found


def _unigram_loss(train: PackedText, text: PackedText, vocabulary: int) -> float:
    """Loss in nats of guessing by the training text's token frequencies, one added to each."""
    counts = np.bincount(train.tokens.ravel(), minlength=vocabulary) + 1.0
    inside = text.documents[:, 1:] == text.documents[:, :-1]
    predicted = text.tokens[:, 1:][inside]
    return float(-np.log(counts[predicted] / counts.sum()).mean())
