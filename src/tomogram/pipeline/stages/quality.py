"""How well the dictionaries stand for the model, measured on held-out text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tomogram.dictionaries import pca
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.splice import Splice
from tomogram.evaluation import reconstruction
from tomogram.evaluation.baselines import moments_of
from tomogram.evaluation.splicing import families, predicting_rows, price
from tomogram.models.sites import Site
from tomogram.pipeline.session import Session
from tomogram.pipeline.stages.text import Texts
from tomogram.store import progress
from tomogram.store.atomic import write_bytes
from tomogram.store.canonical import readable_json
from tomogram.store.schema import Estimate, PcaBaseline, Quality, Record, Spliced
from tomogram.store.stage import Stage, Work
from tomogram.text.packing import PackedText

VERSION = 3
PCA_TOKENS = 16_384
PCA_TOKENS_A_DIMENSION = 32
"""Training tokens the principal components are taken from: the larger number of the two."""


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


def _measure(session: Session, texts: Texts, dictionaries: Sequence[Dictionary]) -> Measured:
    model = session.model
    rows = predicting_rows(texts.held_out)[: session.plan.measured_rows]
    text = texts.held_out.take(rows)
    projections = _projections(session, texts.train, dictionaries)
    with progress.task("held-out text", total=texts.held_out.n_tokens, unit="tokens") as task:
        readings = reconstruction.read(
            model,
            texts.held_out,
            {d.name: d for d in dictionaries},
            {d.name: projections[d.write] for d in dictionaries},
            batch_rows=session.batch_rows,
            advance=task.advance,
        )
    together = families(dictionaries)
    sets: dict[str, list[Splice]] = {d.name: [Splice.of(d)] for d in dictionaries}
    sets |= {_flat(site): [Splice(site, site, flat)] for site, flat in projections.items()}
    sets |= {_all(family): [Splice.of(d) for d in own] for family, own in together.items()}
    priced = price(model, text, sets, batch_rows=session.batch_rows, seed=session.seed)
    found: dict[str, Quality] = {}
    for dictionary in dictionaries:
        name, projection = dictionary.name, projections[dictionary.write]
        reading, cost = readings[name], priced.costs[name]
        found[name] = Quality(
            tokens=reading.total.tokens,
            l0=reading.sparsity.l0,
            fvu=reading.total.fvu,
            rise=cost.rise,
            recovered=cost.recovered,
            shrinkage=reading.total.shrinkage,
            dead=reading.sparsity.dead,
            dense=reading.sparsity.dense,
            pca=PcaBaseline(
                rank=projection.directions.shape[1],
                fvu=reconstruction.summed(reading.flat).fvu,
                rise=priced.costs[_flat(dictionary.write)].rise,
            ),
        )
    spliced = [
        Spliced(
            family=family,
            dictionaries=tuple(d.name for d in members),
            rise=priced.costs[_all(family)].rise,
            recovered=priced.costs[_all(family)].recovered,
        )
        for family, members in together.items()
    ]
    return Measured(
        loss=priced.loss,
        unigram_loss=_unigram_loss(texts.train, text, model.d_vocab),
        dictionaries=found,
        spliced=tuple(spliced),
    )


def _flat(site: Site) -> str:
    """Under which name the projection of a site is priced."""
    return f"{site}, projection"


def _all(family: str) -> str:
    """Under which name all dictionaries of a family at once are priced."""
    return f"all {family}"


def _projections(
    session: Session, text: PackedText, dictionaries: Sequence[Dictionary]
) -> dict[Site, pca.Projection]:
    """The leading principal directions at every site written to, as many as k."""
    sites = sorted({d.write for d in dictionaries}, key=str)
    tokens = max(PCA_TOKENS, PCA_TOKENS_A_DIMENSION * session.model.d_model)
    rows = slice(max(1, min(text.rows, tokens // text.context)))
    moments = moments_of(
        session.model, text.take(rows), [(site,) for site in sites], batch_rows=session.batch_rows
    )
    return {site: pca.fit(moments[(site,)], session.plan.k) for site in sites}


def _unigram_loss(train: PackedText, text: PackedText, vocabulary: int) -> float:
    """Loss in nats of guessing by the training text's token frequencies, one added to each."""
    counts = np.bincount(train.tokens.ravel(), minlength=vocabulary) + 1.0
    inside = text.documents[:, 1:] == text.documents[:, :-1]
    predicted = text.tokens[:, 1:][inside]
    return float(-np.log(counts[predicted] / counts.sum()).mean())
