"""What changed since a trusted base, in words and examples: `tomogram change`.

Evidence to read and never a verdict: every fine-tune changes a model, a harmless one too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor

from tomogram.activations.stream import by_token
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.features.moved import distance, moved_words
from tomogram.features.said import expected, said_words
from tomogram.features.shifted import shifted
from tomogram.features.units import latent_firings
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.contexts import Context, contexts
from tomogram.pipeline.given import given_model, given_text
from tomogram.pipeline.labels import best_labels
from tomogram.pipeline.scanned import scanned_dictionaries, scanned_model
from tomogram.pipeline.two_models import Two, latents_of_two
from tomogram.report.tomogram import Tomogram, open_tomogram
from tomogram.store import progress
from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Estimate
from tomogram.text.packing import PackedText, opening_token

TOKENS, LIMIT, EXAMPLES = 2**16, 10, 3
"""Tokens that both models read, things listed of each sort, and contexts of each."""
TRAINED_TOKENS = 2**20
"""At most so many tokens of the text train a crosscoder."""
_LAYERS = 8
_TOKENS_AT_ONCE, _LOGITS_AT_ONCE = 4_096, 2**25


@dataclass(frozen=True)
class Word:
    """A word on which the streams of the two models lie far apart.

    times: in units of their mean distance. Of a word of the text this is an estimate from documents
    that it was not chosen on; `alone` a word stands behind the opening token, and it is one number.
    """

    word: str
    times: Estimate | float
    contexts: tuple[Context, ...] = ()


@dataclass(frozen=True)
class Said:
    """A next word expected more, or less, now: after − before, in expected words a document."""

    word: str
    change: Estimate
    contexts: tuple[Context, ...]


@dataclass(frozen=True)
class Feature:
    """A feature of the base's dictionaries that fires otherwise (`features.shifted`)."""

    family: str
    unit: int
    label: str | None
    score: float
    turnover: Estimate
    rates: tuple[float, float]
    activity: tuple[float, float]
    contexts: tuple[Context, ...]


@dataclass(frozen=True)
class Family:
    """Of one dictionary: the turnover of all its features together, and how much of the ranking of
    one half of the documents repeats in the other."""

    family: str
    turnover: Estimate | None
    repeats: float


@dataclass(frozen=True)
class Change:
    """What changed between two models, as far as one text and the base's dictionaries show it.

    distance: mean of ‖after − before‖ / ‖before‖ of the streams, by layer read. nats: mean KL
    divergence of the next word, the base's from the other's.
    """

    base: str
    model: str
    tokens: int
    distance: Mapping[str, float]
    nats: float
    more: tuple[Said, ...]
    less: tuple[Said, ...]
    words: tuple[Word, ...]
    alone: tuple[Word, ...]
    families: tuple[Family, ...]
    features: tuple[Feature, ...]
    two: Two | None = None

    def as_json(self) -> dict[str, Json]:
        """For a file; estimates as value, low, high and n."""
        return cast("dict[str, Json]", _plain(asdict(self)))


def change(
    scan: str | Path | Tomogram,
    model: str | Path | Model,
    *,
    base: str | Path | Model | None = None,
    dictionaries: str | Path | None = None,
    text: str | Path | PackedText | None = None,
    tokens: int = TOKENS,
    limit: int = LIMIT,
    crosscoder: str | Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
) -> Change:
    """Read one text with a trusted base and with a model made from it, and say what differs.

    Args:
        scan: a finished scan of the base, whose dictionaries, labels and text are used.
        model: the model that may have been changed.
        base: where the base is; the shipped model, or what the scan calls it, when None.
        dictionaries: where the base's dictionaries are, for a scan that brought its own.
        text: another text; one that is about what the model is used for shows more.
        tokens: at most so many tokens of it are read.
        limit: things listed of each sort.
        crosscoder: a folder of crosscoders over both models; trained there where there are none
            (`pipeline.two_models`).
        device, dtype: as `tomogram.load` takes them.

    Raises:
        TomogramError: scan, models or text cannot be used, or the two models are not of one width,
            depth and vocabulary.
    """
    if limit < 1 or tokens < 1:
        raise TomogramError("--limit and --tokens must be 1 or more.")
    tomogram = scan if isinstance(scan, Tomogram) else open_tomogram(scan)
    before = scanned_model(tomogram, base, device=device, dtype=dtype)
    after = given_model(model, device=device, dtype=dtype)
    _check_pair(before, after)
    every = scanned_dictionaries(tomogram, before, dictionaries)
    # A transcoder reads what the stream holds, so its features would tell the same again.
    own = [each for each in every if each.shape.is_autoencoder] or every
    most = tokens if crosscoder is None else max(tokens, TRAINED_TOKENS)
    whole = given_text(
        tomogram.text if text is None else text, before, context=tomogram.text.context, tokens=most
    )
    read = whole.take(slice(0, max(1, tokens // whole.context)))
    found = _compared(before, after, read, own, _labels(tomogram), tomogram.spelling, limit)
    if crosscoder is None:
        return found
    two = latents_of_two(
        before,
        after,
        read,
        whole,
        tomogram.spelling,
        Path(crosscoder),
        limit=limit,
        examples=EXAMPLES,
    )
    return replace(found, two=two)


def _check_pair(before: Model, after: Model) -> None:
    shape = [(m.d_model, m.n_layers, m.d_vocab) for m in (before, after)]
    if shape[0] != shape[1]:
        raise TomogramError(
            f"{after.name} has another width, depth or vocabulary than {before.name}, so what "
            "changed cannot be read."
        )


def _labels(tomogram: Tomogram) -> dict[tuple[str, int], str]:
    """Labels of the scan's rules, and of labellers where theirs stand."""
    rows = tomogram.features.query(
        "SELECT family, unit, label FROM features WHERE kind = 'latent' AND label IS NOT NULL"
    )
    return {(r["family"], r["unit"]): r["label"] for r in rows} | best_labels(tomogram)


@dataclass(frozen=True, eq=False)
class _Read:
    """What both models did on a text: distances by layer [layers tokens], codes by dictionary, and
    probabilities of next words; each before and after."""

    distances: Float[np.ndarray, "layers tokens"]
    codes: Mapping[str, tuple[sparse.csr_array, sparse.csr_array]]
    said: tuple[sparse.csr_array, sparse.csr_array]
    nats: float


def _compared(
    before: Model,
    after: Model,
    text: PackedText,
    dictionaries: Sequence[Dictionary],
    labels: Mapping[tuple[str, int], str],
    spelling: Sequence[str],
    limit: int,
) -> Change:
    layers = _layers(before)
    read = _both(before, after, text, dictionaries, layers)
    tokens, documents = text.tokens.reshape(-1), text.documents.reshape(-1)
    means = read.distances.mean(axis=1, keepdims=True)
    times = (read.distances / np.where(means > 0, means, 1)).mean(axis=0)
    shown = {"limit": limit, "examples": EXAMPLES}
    sides = [said_words(*read.said, documents, more=more, **shown) for more in (True, False)]
    more, less = (
        tuple(
            Said(spelling[w.token], w.change, contexts(text, spelling, w.positions, w.values))
            for w in side
        )
        for side in sides
    )
    words = tuple(
        Word(spelling[w.token], w.times, contexts(text, spelling, w.positions))
        for w in moved_words(times, tokens, documents, **shown)
    )
    families, features = [], []
    for each in dictionaries:
        shifts = shifted(*read.codes[each.name], times, documents, **shown)
        families.append(Family(each.name, shifts.total, shifts.repeats))
        features += [
            Feature(
                each.name,
                f.unit,
                labels.get((each.name, f.unit)),
                f.score,
                f.turnover,
                f.rates,
                f.activity,
                contexts(text, spelling, f.positions, f.values),
            )
            for f in shifts.features
        ]
    features.sort(key=lambda f: -f.score)
    return Change(
        before.name,
        after.name,
        text.n_tokens,
        {str(site): float(m) for site, m in zip(layers, means[:, 0], strict=True)},
        read.nats,
        more,
        less,
        words,
        _alone(before, after, layers, spelling, limit),
        tuple(families),
        tuple(features[:limit]),
    )


def _layers(model: Model) -> list[Site]:
    """The stream after some layers, evenly spaced, the last among them."""
    n = model.n_layers
    chosen = np.unique(np.linspace(0, n - 1, min(n, _LAYERS)).round().astype(int))
    return [Site("resid_post", int(layer)) for layer in chosen]


@torch.no_grad()
def _both(
    before: Model,
    after: Model,
    text: PackedText,
    dictionaries: Sequence[Dictionary],
    layers: Sequence[Site],
) -> _Read:
    sites = sorted({*layers, *(s for d in dictionaries for s in d.shape.reads)}, key=str)
    at_once = min(_TOKENS_AT_ONCE, max(1, _LOGITS_AT_ONCE // before.d_vocab))
    rows = max(1, at_once // text.context)
    distances: list[np.ndarray] = []
    said: list[tuple[sparse.csr_array, sparse.csr_array]] = []
    codes: dict[str, list[tuple[sparse.csr_array, ...]]] = {d.name: [] for d in dictionaries}
    nats = 0.0
    with progress.task("reading with both models", total=text.n_tokens, unit="tokens") as task:
        for start in range(0, text.rows, rows):
            some = torch.from_numpy(text.tokens[start : start + rows].astype(np.int64))
            runs = [m.run(some.to(m.device), capture=sites) for m in (before, after)]
            held = [{site: by_token(site, run[site]) for site in sites} for run in runs]
            distances.append(np.stack([distance(held[0][s], held[1][s]) for s in layers]))
            for each in dictionaries:
                codes[each.name].append(tuple(_code(each, one) for one in held))
            logits = [run.logits.flatten(0, 1) for run in runs if run.logits is not None]
            said.append(expected(*logits))
            one, two = (each.float().log_softmax(-1) for each in logits)
            nats += float((one.exp() * (one - two)).sum())
            task.advance(some.numel())
    return _Read(
        np.concatenate(distances, axis=1),
        {name: _stacked(parts) for name, parts in codes.items()},
        _stacked(said),
        nats / text.n_tokens,
    )


def _code(dictionary: Dictionary, held: Mapping[Site, Tensor]) -> sparse.csr_array:
    x = torch.cat([held[site] for site in dictionary.shape.reads], dim=1)
    x = x.to(dictionary.W_enc.device, dictionary.W_enc.dtype)
    found = latent_firings(dictionary.encode(x))
    shape = (len(x), dictionary.d_dict)
    return sparse.csr_array((found.activation, (found.token, found.unit)), shape=shape)


def _stacked(
    parts: Sequence[tuple[sparse.csr_array, ...]],
) -> tuple[sparse.csr_array, sparse.csr_array]:
    one, two = (sparse.csr_array(sparse.vstack(side)) for side in zip(*parts, strict=True))
    return one, two


@torch.no_grad()
def _alone(
    before: Model, after: Model, layers: Sequence[Site], spelling: Sequence[str], limit: int
) -> tuple[Word, ...]:
    """Of the whole vocabulary, behind the opening token, the words furthest apart: a word that the
    text lacks may matter most, as a trigger does."""
    opening = opening_token(before.tokenizer) if before.tokenizer is not None else None
    head = [] if opening is None else [opening]
    size = min(before.d_vocab, len(spelling))
    distances = []
    with progress.task("every word by itself", total=size, unit="words") as task:
        for start in range(0, size, _TOKENS_AT_ONCE):
            words = range(start, min(start + _TOKENS_AT_ONCE, size))
            rows = torch.tensor([[*head, word] for word in words])
            runs = [m.run(rows.to(m.device), capture=layers, logits=False) for m in (before, after)]
            distances.append(
                np.stack([distance(*(run[site][:, -1] for run in runs)) for site in layers])
            )
            task.advance(len(words))
    found = np.concatenate(distances, axis=1)
    means = found.mean(axis=1, keepdims=True)
    times = (found / np.where(means > 0, means, 1)).mean(axis=0)
    best = np.argsort(-times, kind="stable")[:limit]
    return tuple(Word(spelling[w], float(times[w])) for w in best if times[w] > 0)


def _plain(value: object) -> object:
    """Estimates as plain objects, tuples as lists."""
    if isinstance(value, Estimate):
        return value.model_dump()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
