"""Behaviours: what a model does, proposed from its own confident predictions.

A behaviour is what a model does throughout a kind of document, or in one sort of place in it. So
documents are grouped first (`kinds`), and of the predictions in a group those are claimed of which
the model knows more than the last words, or their classes, settle (`templates`), by half a bit at
least. What a group claims is one proposal; the two halves of what a small group claims, by the
stream (k-means), are two more, where they are not nearly the same as what is proposed already. A
proposal's pairs are two of its prompts of one length with different answers and as few different
tokens as there are, so that what its prompts share is the same in both. A proposal with one answer
alone is paired with the prompts of others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.cluster import KMeans
from torch import Tensor

from tomogram.circuits.discovery.edges import edge_graph
from tomogram.circuits.discovery.kinds import kinds
from tomogram.circuits.discovery.pairs import Pair
from tomogram.circuits.discovery.streams import writes
from tomogram.circuits.discovery.templates import sequences, settled, word_classes
from tomogram.models.model import Model
from tomogram.store.progress import task
from tomogram.text.packing import PackedText

CONFIDENT = 0.7
LONGEST = 48
GAIN = 0.5
"""Bits that the model's probability is above what the last words settle."""
NEARLY = 0.75
"""Proposals whose tokens agree by this F1 are the same."""
SMALL = 0.1
"""Kinds of at most this share of the documents are proposed in halves, too."""
_DEPTH, _FEWEST = 0.75, 12


@dataclass(frozen=True, eq=False)
class Predictions:
    """Confident predictions of a model on a text.

    Args:
        row, position: where each was made; it is about the next token.
        token: what was predicted.
        chance: its probability.
        stream: the stream there, at three quarters of the depth, normed to length 1.
        document: the place of its document among `documents`.
        documents: the mean of such streams over each document that has predictions.
        prompt: the document up to there.
    """

    row: Int[np.ndarray, " n"]
    position: Int[np.ndarray, " n"]
    token: Int[np.ndarray, " n"]
    chance: Float[np.ndarray, " n"]
    stream: Float[np.ndarray, "n d_model"]
    document: Int[np.ndarray, " n"]
    documents: Float[np.ndarray, "document d_model"]
    prompt: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Behaviour:
    """A proposed behaviour: members are places among the predictions."""

    members: Int[np.ndarray, " n"]
    pairs: tuple[Pair, ...]


@torch.no_grad()
def predictions(
    model: Model, text: PackedText, *, confident: float = CONFIDENT, longest: int = LONGEST
) -> Predictions:
    """Every position whose most probable next token has at least the probability `confident`.

    Only positions at most `longest` tokens into their document are taken: the document up to there
    is then a prompt by itself, and predictions that it alone does not give are left out by `pairs`.
    """
    graph = edge_graph(model)
    layer = max(1, round(_DEPTH * model.n_layers))
    found: list[tuple[int, int, int, int]] = []
    chances: list[Float[np.ndarray, " n"]] = []
    streams: list[Float[np.ndarray, "n d_model"]] = []
    prompts: list[tuple[int, ...]] = []
    number, owner_of = np.unique(text.documents, return_inverse=True)
    owner_of = owner_of.reshape(text.documents.shape)
    sums = np.zeros((len(number), model.d_model))
    with task("reading predictions", total=len(text.tokens), unit="rows") as progress:
        for row, (tokens, owner) in enumerate(zip(text.tokens, owner_of, strict=True)):
            ids = torch.from_numpy(tokens[None].astype(np.int64)).to(model.device)
            run = writes(model, graph, ids)
            chance, best = model.unembed(run.last)[0].float().softmax(-1).max(-1)
            stream = _unit(run.attn_in[layer] if layer < model.n_layers else run.last)[0]
            np.add.at(sums, owner, stream)
            starts = np.r_[0, np.flatnonzero(np.diff(owner)) + 1]
            start = starts[np.searchsorted(starts, np.arange(len(tokens)), side="right") - 1]
            length = np.arange(len(tokens)) - start + 1
            # The first piece of a row may have lost its beginning.
            whole = (start > 0) | (row == 0)
            fits = whole & (length >= 2) & (length <= longest)
            places = np.flatnonzero(fits & (chance.cpu().numpy() >= confident))
            said = best.cpu().numpy()[places]
            found += [
                (row, int(p), int(t), int(owner[p])) for p, t in zip(places, said, strict=True)
            ]
            prompts += [tuple(tokens[start[p] : p + 1].tolist()) for p in places]
            chances.append(chance.cpu().numpy()[places])
            streams.append(stream[places])
            progress.advance()
    rows, positions, token, owners = np.array(found, dtype=np.int64).reshape(-1, 4).T
    used, document = np.unique(owners, return_inverse=True)
    length_of = np.bincount(owner_of.reshape(-1), minlength=len(number))
    return Predictions(
        rows,
        positions,
        token,
        np.concatenate(chances),
        np.concatenate(streams),
        document,
        sums[used] / length_of[used, None],
        tuple(prompts),
    )


def _unit(value: Float[Tensor, "*rows d"]) -> Float[np.ndarray, "*rows d"]:
    """Rows of length 1, in float32."""
    value = value.float()
    found: np.ndarray = (value / value.norm(dim=-1, keepdim=True)).cpu().numpy()
    return found


def propose(
    model: Model,
    text: PackedText,
    found: Predictions,
    *,
    clusters: int,
    pairs: int,
    seed: int = 0,
) -> tuple[Behaviour, ...]:
    """At most `clusters` proposals, the most frequent first, each with enough pairs."""
    if len(found.token) == 0:
        return ()
    everything = np.arange(len(found.token))
    generator = np.random.default_rng(seed)
    proposed: list[Behaviour] = []
    for members in _claims(found, word_classes(text, model.d_vocab, seed=seed), seed):
        if any(_agree(members, each.members) >= NEARLY for each in proposed):
            continue
        made = _pairs(model, found, members, members, pairs, generator)
        if len(made) < pairs // 2:
            rest = np.setdiff1d(everything, members)
            made = _pairs(model, found, members, rest, pairs, generator)
        if len(made) >= max(2, pairs // 2):
            proposed.append(Behaviour(members, made))
        if len(proposed) == clusters:
            break
    return tuple(sorted(proposed, key=lambda each: -len(each.members)))


def _claims(
    found: Predictions, classes: Int[np.ndarray, " token"], seed: int
) -> Iterator[Int[np.ndarray, " n"]]:
    """What every kind of document claims, and of a small one its halves by the stream."""
    sequence = sequences(found.prompt, classes)
    everywhere = settled(sequence, found.token, found.document)
    for group in kinds(found.documents):
        here = np.flatnonzero(np.isin(found.document, group))
        inside = settled(sequence[:, here], found.token[here], found.document[here])
        known = np.maximum(np.maximum(inside, everywhere[here]), 1e-6)
        members = here[np.log2(found.chance[here]) - np.log2(known) >= GAIN]
        if len(members) >= _FEWEST:
            yield members
        if len(members) >= 2 * _FEWEST and len(group) <= SMALL * len(found.documents):
            half = KMeans(2, n_init=3, random_state=seed).fit_predict(found.stream[members])
            yield from (part for n in (0, 1) if len(part := members[half == n]) >= _FEWEST)


def _agree(one: Int[np.ndarray, " n"], other: Int[np.ndarray, " m"]) -> float:
    """F1 between two sets of predictions."""
    return 2 * len(np.intersect1d(one, other, assume_unique=True)) / (len(one) + len(other))


def _pairs(
    model: Model,
    found: Predictions,
    members: Int[np.ndarray, " n"],
    others: Int[np.ndarray, " m"],
    wanted: int,
    generator: np.random.Generator,
) -> tuple[Pair, ...]:
    """Pairs of equal length with different answers, each of which its prompt alone gives.

    The partner of a prompt is the one that has the fewest other tokens.
    """
    by_length: dict[int, list[int]] = {}
    for place in generator.permutation(others).tolist():
        by_length.setdefault(len(found.prompt[place]), []).append(place)
    same_length = {
        length: (np.array(places), np.array([found.prompt[place] for place in places]))
        for length, places in by_length.items()
    }
    made: dict[Pair, None] = {}
    for place in generator.permutation(members).tolist():
        prompt, token = found.prompt[place], int(found.token[place])
        if len(prompt) not in same_length:
            continue
        places, prompts = same_length[len(prompt)]
        differ = (prompts != np.array(prompt)).sum(1)
        fits = (differ > 0) & (found.token[places] != token)
        if not fits.any():
            continue
        partner = int(places[np.where(fits, differ, len(prompt) + 1).argmin()])
        other = int(found.token[partner])
        if _said(model, (prompt, found.prompt[partner])) == [token, other]:
            made[Pair(prompt, found.prompt[partner], token, other)] = None
        if len(made) == wanted:
            break
    return tuple(made)


@torch.no_grad()
def _said(model: Model, prompts: Sequence[tuple[int, ...]]) -> list[int]:
    logits = model.run(torch.tensor(prompts)).logits
    assert logits is not None
    said: list[int] = logits[:, -1].argmax(-1).tolist()
    return said
