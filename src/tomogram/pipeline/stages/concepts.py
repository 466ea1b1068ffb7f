"""Known concepts against units: neurons, features, a probe's ceiling and a random floor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse

from tomogram.activations.stream import stream
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.trainer import gather
from tomogram.features.concepts import (
    Latent,
    Matches,
    Signed,
    best_of,
    match,
    random_directions,
)
from tomogram.features.probes import probe
from tomogram.features.units import latent_firings
from tomogram.models.sites import Site
from tomogram.pipeline.session import Session
from tomogram.store import progress
from tomogram.store.atomic import write_bytes
from tomogram.store.canonical import readable_json
from tomogram.store.errors import TomogramError
from tomogram.store.estimates import estimate
from tomogram.store.schema import ConceptMeans, ConceptRecord, Concepts
from tomogram.store.schema import Match as MatchRecord
from tomogram.store.stage import Stage, Work
from tomogram.text.microworld.concepts import Concept, concepts
from tomogram.text.microworld.generate import MicroworldText, generate

VERSION = 1
FEWEST = 20
"""A concept true of fewer tokens of either text is too rare to measure."""
# Streams of the generator that nothing else reads.
_SELECTION, _MEASUREMENT = 3, 4


def stage(session: Session, dictionaries: str) -> Stage:
    """The stage for the digest of what made the dictionaries."""
    return Stage(
        session.folder,
        "concepts",
        VERSION,
        session.inputs(
            dictionaries=dictionaries,
            tokens=session.plan.concept_tokens,
            layers=list(session.neuron_layers),
            context=session.plan.context,
        ),
    )


def run(session: Session, dictionaries: Sequence[Dictionary], digest: str) -> Concepts:
    """Run the stage unless it is done, and read its results."""
    path = stage(session, digest).run(lambda work: _body(session, dictionaries, work))
    return Concepts.model_validate_json((path / "concepts.json").read_bytes())


def _body(session: Session, dictionaries: Sequence[Dictionary], work: Work) -> None:
    found = measure(session, dictionaries)
    data = readable_json(found.model_dump(mode="json"))
    write_bytes(work.results / "concepts.json", data.encode("ascii"))


@torch.no_grad()
def measure(session: Session, dictionaries: Sequence[Dictionary]) -> Concepts:
    """For every concept the best neuron, the best feature, the best probe and the best of random
    directions, each over all scanned layers; chosen on one text, measured on another."""
    assert session.world is not None
    texts = [
        generate(session.world, seed, session.plan.concept_tokens, session.plan.context)
        for seed in (_SELECTION, _MEASUREMENT)
    ]
    common = np.min([np.asarray(text.truth.sum(0)).ravel() for text in texts], axis=0) >= FEWEST
    kept = np.flatnonzero(common)
    if len(kept) == 0:
        raise TomogramError(
            f"No concept is true of {FEWEST} tokens of {session.plan.concept_tokens}: read more."
        )
    truths = [sparse.csr_array(text.truth[:, kept]) for text in texts]
    features: dict[str, Matches] = {}
    neurons: dict[str, Matches] = {}
    floors: dict[str, Matches] = {}
    ceilings: dict[str, Matches] = {}
    work = len(dictionaries) + 3 * len(session.neuron_layers)
    with progress.task("concepts", total=work, unit="families") as task:
        for dictionary in dictionaries:
            columns = [_latents(session, dictionary, text) for text in texts]
            features[dictionary.name] = _matched(columns, truths)
            task.advance()
        for layer in session.neuron_layers:
            dense = [_values(session, Site("neurons", layer), text) for text in texts]
            neurons[f"neurons.{layer}"] = _matched([Signed(x) for x in dense], truths)
            task.advance()
            # As many random directions of the stream as the MLP has neurons.
            count = dense[0].shape[1]
            residual = [_values(session, Site("resid_post", layer), text) for text in texts]
            directions = random_directions(residual[0].shape[1], count, session.seed)
            centre = residual[0].mean(0)
            floors[f"random.{layer}"] = _matched(
                [Signed((x - centre) @ directions) for x in residual], truths
            )
            task.advance()
            selection, measurement = (torch.from_numpy(x) for x in residual)
            ceilings[f"probe.{layer}"] = probe(
                selection, truths[0], measurement, truths[1], seed=session.seed
            )
            task.advance()
    known = [concepts(session.world)[i] for i in kept]
    tokens = np.asarray(truths[1].sum(0)).ravel()
    return _records(known, tokens, neurons, features, ceilings, floors)


def _matched(columns: Sequence, truths: Sequence[sparse.csr_array]) -> Matches:
    return match(columns[0], truths[0], columns[1], truths[1])


def _latents(session: Session, dictionary: Dictionary, text: MicroworldText) -> Latent:
    """A dictionary's latents over a text, sparse."""
    parts = []
    sites = dictionary.shape.reads
    for batch in stream(session.model, text.text, sites, batch_rows=session.batch_rows):
        fired = latent_firings(dictionary.encode(gather(batch, sites)))
        shape = (len(batch.rows) * text.text.context, dictionary.d_dict)
        parts.append(sparse.csr_array((fired.activation, (fired.token, fired.unit)), shape=shape))
    return Latent(sparse.csc_array(sparse.vstack(parts)))


def _values(
    session: Session, site: Site, text: MicroworldText
) -> Float[np.ndarray, "tokens width"]:
    """What a site holds over a text, as float32."""
    batches = stream(session.model, text.text, [site], batch_rows=session.batch_rows)
    return np.concatenate([batch[site].float().cpu().numpy() for batch in batches])


def _records(
    known: Sequence[Concept],
    tokens: np.ndarray,
    neurons: dict[str, Matches],
    features: dict[str, Matches],
    ceilings: dict[str, Matches],
    floors: dict[str, Matches],
) -> Concepts:
    neuron_group, neuron = best_of(neurons)
    feature_group, feature = best_of(features)
    _, ceiling = best_of(ceilings)
    _, floor = best_of(floors)
    records = tuple(
        ConceptRecord(
            name=concept.name,
            group=concept.group,
            single_word=concept.single_word,
            tokens=int(tokens[i]),
            neuron=_record(neuron_group[i], neuron, i),
            feature=_record(feature_group[i], feature, i),
            probe=float(ceiling.measured[i]),
            random=float(floor.measured[i]),
        )
        for i, concept in enumerate(known)
    )
    single = [r for r in records if r.single_word]
    several = [r for r in records if not r.single_word]
    return Concepts(
        means=_means(records),
        single_word=_means(single) if single else None,
        several_words=_means(several) if several else None,
        concepts=records,
    )


def _record(group: str, matches: Matches, i: int) -> MatchRecord:
    return MatchRecord(group=group, index=int(matches.unit[i]), f1=float(matches.measured[i]))


def _means(records: Sequence[ConceptRecord]) -> ConceptMeans:
    columns = {
        "neuron": [r.neuron.f1 for r in records],
        "feature": [r.feature.f1 for r in records],
        "probe": [r.probe for r in records],
        "random": [r.random or 0.0 for r in records],
    }
    columns["margin"] = [r.feature.f1 - r.neuron.f1 for r in records]
    return ConceptMeans(**{name: estimate(np.array(column)) for name, column in columns.items()})
