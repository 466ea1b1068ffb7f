"""Behaviours: what a model does, proposed from clusters of its own confident predictions.

Predictions are described by the stream late in the model, at the position where they are made, and
clustered (k-means). A cluster is a proposal: its tokens are what it claims, and its pairs are two
of its prompts of one length with different answers, so that what all its prompts share is the same
in both and what decides between answers differs. A cluster with one answer alone is paired with
prompts of other clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.cluster import KMeans

from tomogram.circuits.discovery.pairs import Pair
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.progress import task
from tomogram.text.packing import PackedText

CONFIDENT = 0.5
LONGEST = 48
_DEPTH = 0.75


@dataclass(frozen=True, eq=False)
class Predictions:
    """Confident predictions of a model on a text.

    Args:
        row, position: where each was made; it is about the next token.
        token: what was predicted.
        stream: the stream there, normed to length 1.
        prompt: the document up to there.
    """

    row: Int[np.ndarray, " n"]
    position: Int[np.ndarray, " n"]
    token: Int[np.ndarray, " n"]
    stream: Float[np.ndarray, "n d_model"]
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
    site = Site("resid_post", min(model.n_layers - 1, round(_DEPTH * model.n_layers) - 1))
    found: list[tuple[int, int, int]] = []
    streams, prompts = [], []
    with task("reading predictions", total=len(text.tokens), unit="rows") as progress:
        for row, (tokens, owner) in enumerate(zip(text.tokens, text.documents, strict=True)):
            run = model.run(torch.from_numpy(tokens[None].astype(np.int64)), capture=[site])
            assert run.logits is not None
            chance, best = run.logits[0].float().softmax(-1).max(-1)
            starts = np.r_[0, np.flatnonzero(np.diff(owner)) + 1]
            start = starts[np.searchsorted(starts, np.arange(len(tokens)), side="right") - 1]
            length = np.arange(len(tokens)) - start + 1
            # The first piece of a row may have lost its beginning.
            whole = (start > 0) | (row == 0)
            fits = whole & (length >= 2) & (length <= longest)
            for place in np.flatnonzero(fits & (chance.cpu().numpy() >= confident)):
                found.append((row, int(place), int(best[place])))
                prompts.append(tuple(tokens[start[place] : place + 1].tolist()))
                value = run[site][0, place].float()
                streams.append((value / value.norm()).cpu().numpy())
            progress.advance()
    columns = np.array(found, dtype=np.int64).reshape(-1, 3)
    stream = np.array(streams, np.float32).reshape(len(found), model.d_model)
    return Predictions(columns[:, 0], columns[:, 1], columns[:, 2], stream, tuple(prompts))


def propose(
    model: Model,
    found: Predictions,
    *,
    clusters: int,
    pairs: int,
    seed: int = 0,
) -> tuple[Behaviour, ...]:
    """Proposed behaviours, the most frequent first; clusters without enough pairs are left out."""
    count = min(clusters, len(found.token))
    if count == 0:
        return ()
    label = KMeans(count, n_init=4, random_state=seed).fit_predict(found.stream)
    generator = np.random.default_rng(seed)
    proposed = []
    for cluster in range(count):
        members = np.flatnonzero(label == cluster)
        rest = np.flatnonzero(label != cluster)
        made = _pairs(model, found, members, members, pairs, generator)
        if len(made) < pairs // 2:
            made = _pairs(model, found, members, rest, pairs, generator)
        if len(made) >= max(2, pairs // 2):
            proposed.append(Behaviour(members, made))
    return tuple(sorted(proposed, key=lambda each: -len(each.members)))


def _pairs(
    model: Model,
    found: Predictions,
    members: Int[np.ndarray, " n"],
    others: Int[np.ndarray, " m"],
    wanted: int,
    generator: np.random.Generator,
) -> tuple[Pair, ...]:
    """Pairs of equal length with different answers, each of which its prompt alone gives."""
    by_length: dict[int, list[int]] = {}
    for place in generator.permutation(others).tolist():
        by_length.setdefault(len(found.prompt[place]), []).append(place)
    made: dict[Pair, None] = {}
    for place in generator.permutation(members).tolist():
        prompt, token = found.prompt[place], int(found.token[place])
        for partner in by_length.get(len(prompt), ()):
            other = int(found.token[partner])
            if other != token and found.prompt[partner] != prompt:
                pair = Pair(prompt, found.prompt[partner], token, other)
                if _said(model, (prompt, found.prompt[partner])) == [token, other]:
                    made[pair] = None
                break
        if len(made) == wanted:
            break
    return tuple(made)


@torch.no_grad()
def _said(model: Model, prompts: Sequence[tuple[int, ...]]) -> list[int]:
    logits = model.run(torch.tensor(prompts)).logits
    assert logits is not None
    said: list[int] = logits[:, -1].argmax(-1).tolist()
    return said
