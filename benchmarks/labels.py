"""Labels: on the reference model, do searches find the features that match a known concept?

Scans the reference model with the standard plan. A concept counts where some feature matches it
with F1 ≥ .8, chosen on one text of the generator and measured on another. Three sentences in which
it is true, from a stream of text that nothing has read, are all the search is given; a hit counts
only where the feature shown is one of those that match. How sentences are ranked was chosen on one
half of the concepts and another stream; the figures are of the other half. No labeller and no
search ever sees a concept's name; searching by it stands beside.

    python -m benchmarks.labels [--json] [--quick]

With TOMOGRAM_SCAN=FOLDER the scan is kept there, and a finished one is read and not made again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from scipy import sparse

from benchmarks.harness import Figure, figure, main
from tomogram.activations.stream import stream
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.features.concepts import Latent, Matches, match
from tomogram.features.exemplars import draw
from tomogram.features.labels import Labeller
from tomogram.features.survey import Observation, readers, survey
from tomogram.features.units import latent_firings
from tomogram.models.model import Model
from tomogram.pipeline.scan import scan
from tomogram.pipeline.searching import Search, open_search
from tomogram.reference.shipped import world_of
from tomogram.store.estimates import estimate
from tomogram.store.schema import Estimate
from tomogram.text.microworld.concepts import Concept, concepts
from tomogram.text.microworld.generate import MicroworldText, generate
from tomogram.text.microworld.vocabulary import vocabulary
from tomogram.text.microworld.world import World
from tomogram.text.packing import PackedText

SCAN = "TOMOGRAM_SCAN"
MATCHES = 0.8
LEAST = 20
"""A concept that is true of fewer tokens of either text is left out, as in the scan."""
SENTENCES, DRAWS, TOP = 3, 4, 5
LONGEST = 64
"""Tokens of an example, at most: its last ones."""
CONTEXT = 256
# Streams of the generator that neither training nor the scan reads.
_SELECTION, _MEASUREMENT, _DEVELOP, _REPORT = 3, 4, 21, 22
Half = Literal["develop", "report"]


@dataclass(frozen=True)
class Known:
    """A concept that some feature matches: its place in the list, and all features that do."""

    concept: int
    features: frozenset[tuple[str, int]]


def measure(quick: bool) -> dict[str, Figure]:
    """Share of the concepts found by examples and by name, and the scores of the labels."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get(SCAN) or Path(temporary) / "scan")
        # A finished scan is read as it is: with another number of threads it would be made anew.
        if not (folder / "tomogram.json").is_file():
            scan(out=folder, plan="quick" if quick else "standard")
        search = open_search(folder)
        world = world_of(search.model.module.config)
        assert world is not None
        known = matched(search, world, tokens=60_000 if quick else 80_000)
        found = found_by_examples(search, world, known, "report", tokens=200_000)
        return {
            "concepts found by three sentences": figure(estimate(found), 0.90),
            "concepts that some feature matches": Figure(len(known)),
            "concepts judged": Figure(len(found)),
            "concepts found by name": figure(
                estimate(found_by_name(search, concepts(world), half(known, "report")))
            ),
            **label_scores(search),
            **agreement(search, world, tokens=60_000 if quick else 120_000),
        }


def matched(search: Search, world: World, *, tokens: int) -> list[Known]:
    """Every concept that some feature matches, chosen on one text and measured on another."""
    known = [generate(world, stream, tokens, CONTEXT) for stream in (_SELECTION, _MEASUREMENT)]
    truths = [sparse.csr_array(each.truth) for each in known]
    often = np.logical_and(*(np.asarray(t.sum(0)).reshape(-1) >= LEAST for t in truths))
    kept = np.flatnonzero(often)
    truths = [truth[:, kept] for truth in truths]
    columns = [latents(search.model, search.dictionaries, each.text) for each in known]
    best: dict[str, Matches] = {
        name: match(columns[0][name], truths[0], columns[1][name], truths[1]) for name in columns[0]
    }
    found = []
    for place, concept in enumerate(kept):
        features = frozenset(
            (name, int(own.unit[place]))
            for name, own in best.items()
            if own.selected[place] >= MATCHES and own.measured[place] >= MATCHES
        )
        if features:
            found.append(Known(int(concept), features))
    return found


def latents(
    model: Model, dictionaries: Sequence[Dictionary], text: PackedText
) -> dict[str, Latent]:
    """Every dictionary's firings over a text, by column."""
    sites = sorted({site for each in dictionaries for site in each.shape.reads}, key=str)
    parts: dict[str, list[sparse.csr_array]] = {each.name: [] for each in dictionaries}
    for batch in stream(model, text, sites, batch_rows=max(1, 8_192 // text.context)):
        for each in dictionaries:
            x = torch.cat([batch[site] for site in each.shape.reads], dim=1)
            with torch.no_grad():
                own = latent_firings(each.encode(x.to(each.W_enc.device, each.W_enc.dtype)))
            entries = (own.activation, (own.token, own.unit))
            parts[each.name].append(sparse.csr_array(entries, shape=(len(x), each.d_dict)))
    return {name: Latent(sparse.csc_array(sparse.vstack(some))) for name, some in parts.items()}


def observed(
    model: Model, dictionaries: Sequence[Dictionary], text: PackedText
) -> Mapping[str, Observation]:
    """A survey that keeps every firing and few exemplars."""
    return survey(
        model,
        text,
        readers(model, text, dictionaries, neurons=()),
        batch_rows=max(1, 8_192 // text.context),
        top=1,
        spread=1,
        sampled_tokens=text.n_tokens,
    )


def half(known: Sequence[Known], which: Half) -> list[Known]:
    """The half of the concepts that ranking is chosen on, or the half that is reported."""
    lots = draw(np.array([each.concept for each in known], np.int64))
    return [
        each for each, lot in zip(known, lots, strict=True) if (lot < 0.5) == (which == "develop")
    ]


def found_by_examples(
    search: Search, world: World, known: Sequence[Known], which: Half, *, tokens: int
) -> np.ndarray:
    """For each concept of a half the share of draws of sentences that find it."""
    made = generate(world, _DEVELOP if which == "develop" else _REPORT, tokens, CONTEXT)
    truth = sparse.csc_array(made.truth)
    sentences = list(split(world, made))
    found = []
    for each in half(known, which):
        true = np.zeros(made.text.n_tokens, bool)
        true[truth.indices[truth.indptr[each.concept] : truth.indptr[each.concept + 1]]] = True
        own = [sentence for sentence in sentences if true[sentence].any()]
        if len(own) < SENTENCES:
            continue
        rng = np.random.default_rng(each.concept)
        hits = [
            _finds(search, made, [own[i] for i in rng.permutation(len(own))[:SENTENCES]], each)
            for _ in range(DRAWS)
        ]
        found.append(float(np.mean(hits)))
    return np.array(found)


def _finds(
    search: Search, made: MicroworldText, sentences: Sequence[np.ndarray], known: Known
) -> bool:
    opening = search.model.tokenizer.bos_token_id
    tokens = made.text.tokens.reshape(-1)
    examples = [[opening, *tokens[sentence].tolist()] for sentence in sentences]
    hits = search.by_token_examples(examples, limit=TOP)
    return any((hit.family, hit.unit) in known.features for hit in hits)


def split(world: World, made: MicroworldText) -> Iterator[np.ndarray]:
    """The sentences of a text, as numbers of tokens; what opens and closes a document is left out.

    A sentence ends at a full stop, a question mark or the end of a turn.
    """
    ids = vocabulary(world)
    closing = np.isin(made.text.tokens.reshape(-1), [ids["."], ids["?"], ids["<end>"]])
    edge = np.isin(made.text.tokens.reshape(-1), [ids["<bos>"], ids["<eos>"]])
    document = made.text.documents.reshape(-1)
    starts = np.flatnonzero(
        np.concatenate([[True], closing[:-1] | edge[:-1] | (document[1:] != document[:-1])])
    )
    for start, end in zip(starts, [*starts[1:], len(document)], strict=True):
        places = np.arange(start, end)
        places = places[~edge[places]][-LONGEST:]
        if len(places) > 1:
            yield places


def found_by_name(search: Search, listed: Sequence[Concept], known: Sequence[Known]) -> np.ndarray:
    """Whether searching for the words of a concept's name finds it."""
    found = []
    for each in known:
        name = listed[each.concept].name
        hits = search.by_words(name.split(": ")[-1], limit=TOP)
        found.append(float(any((hit.family, hit.unit) in each.features for hit in hits)))
    return np.array(found)


def label_scores(search: Search) -> dict[str, Figure]:
    """Share of live features with a label, and how well labels predict firing on unseen text."""
    rows = search.tomogram.features.query(
        "SELECT label_f1, label_balanced_accuracy AS accuracy FROM features"
        " WHERE kind = 'latent' AND count > 0"
    )
    scores = np.array([row["label_f1"] for row in rows if row["label_f1"] is not None])
    accuracy = np.array([row["accuracy"] for row in rows if row["label_f1"] is not None])
    labelled = np.array([row["label_f1"] is not None for row in rows], float)
    return {
        "live features labelled": figure(estimate(labelled), 0.50),
        "held-out prediction score (F1)": figure(estimate(scores), 0.75),
        "held-out balanced accuracy": figure(estimate(accuracy)),
    }


def agreement(search: Search, world: World, *, tokens: int) -> dict[str, Figure]:
    """How well the rules of features that match a concept predict that concept, on unseen text."""
    made = generate(world, _MEASUREMENT, tokens, CONTEXT)
    found = observed(search.model, search.dictionaries, made.text)
    labeller = Labeller(made.text, np.arange(made.text.rows))
    truth = sparse.csr_array(made.truth).astype(np.float32)
    scores: list[np.ndarray] = []
    for own in found.values():
        scored = labeller.predictions(own)
        true, fired = truth[scored.tokens], _ones(scored.fired)
        feature, matches = _best(fired, true)
        kept = np.flatnonzero(
            (matches >= MATCHES) & (np.diff(sparse.csc_array(scored.said).indptr) > 0)
        )
        said = sparse.csc_array(_ones(scored.said))[:, kept]
        wanted = sparse.csc_array(true)[:, feature[kept]]
        both = np.asarray(said.multiply(wanted).sum(0)).reshape(-1)
        total = np.asarray(said.sum(0)).reshape(-1) + np.asarray(wanted.sum(0)).reshape(-1)
        scores.append(2 * both / np.maximum(total, 1))
    flat = np.concatenate(scores)
    result: Estimate = estimate(flat)
    return {"agreement of rules with the truth (F1)": figure(result)}


def _best(fired: sparse.csr_array, truth: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """The concept each unit's firing matches best, and its F1."""
    both = (fired.T @ truth).toarray()
    total = np.asarray(fired.sum(0)).reshape(-1, 1) + np.asarray(truth.sum(0)).reshape(1, -1)
    f1 = 2 * both / np.maximum(total, 1)
    return f1.argmax(1), f1.max(1)


def _ones(matrix: sparse.csr_array) -> sparse.csr_array:
    ones = np.ones(len(matrix.data), np.float32)
    return sparse.csr_array((ones, matrix.indices, matrix.indptr), shape=matrix.shape)


if __name__ == "__main__":
    main("labels", measure)
