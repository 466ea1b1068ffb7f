"""Behaviours: what a model does, proposed from clusters of its own confident predictions.

What the last two tokens settle by themselves is left out: it needs no mechanism but a table. The
other predictions are described by the stream in the middle of the model and by how much each head
and MLP adds to the logit of what is predicted, and clustered (k-means). A cluster is a proposal:
its tokens are what it claims, and its pairs are two of its prompts of one length with different
answers, so that what all its prompts share is the same in both and what decides between answers
differs. A cluster with one answer alone is paired with prompts of other clusters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.cluster import KMeans
from torch import Tensor

from tomogram.circuits.discovery.edges import edge_graph
from tomogram.circuits.discovery.pairs import Pair
from tomogram.circuits.discovery.streams import writes
from tomogram.models.model import Model
from tomogram.store.progress import task
from tomogram.text.packing import PackedText

CONFIDENT = 0.5
LONGEST = 48
OPEN = 0.5
"""A prediction is open when fewer of its last two tokens' occurrences are followed by it."""
_DEPTH, _FEW = 0.5, 5


@dataclass(frozen=True, eq=False)
class Predictions:
    """Confident predictions of a model on a text.

    Args:
        row, position: where each was made; it is about the next token.
        token: what was predicted.
        stream: the stream there, in the middle of the model, normed to length 1.
        added: what each writer adds to the logit of the token above the mean of all tokens, normed
            to length 1.
        prompt: the document up to there.
    """

    row: Int[np.ndarray, " n"]
    position: Int[np.ndarray, " n"]
    token: Int[np.ndarray, " n"]
    stream: Float[np.ndarray, "n d_model"]
    added: Float[np.ndarray, "n writer"]
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
    middle = max(1, round(_DEPTH * model.n_layers))
    directions = model.unembedding - model.unembedding.mean(1, keepdim=True)
    found: list[tuple[int, int, int]] = []
    streams: list[Float[np.ndarray, "n d_model"]] = []
    added: list[Float[np.ndarray, "n writer"]] = []
    prompts: list[tuple[int, ...]] = []
    with task("reading predictions", total=len(text.tokens), unit="rows") as progress:
        for row, (tokens, owner) in enumerate(zip(text.tokens, text.documents, strict=True)):
            ids = torch.from_numpy(tokens[None].astype(np.int64)).to(model.device)
            run = writes(model, graph, ids)
            chance, best = model.unembed(run.last)[0].float().softmax(-1).max(-1)
            starts = np.r_[0, np.flatnonzero(np.diff(owner)) + 1]
            start = starts[np.searchsorted(starts, np.arange(len(tokens)), side="right") - 1]
            length = np.arange(len(tokens)) - start + 1
            # The first piece of a row may have lost its beginning.
            whole = (start > 0) | (row == 0)
            fits = whole & (length >= 2) & (length <= longest)
            places = np.flatnonzero(fits & (chance.cpu().numpy() >= confident))
            said = best[torch.from_numpy(places).to(best.device)]
            found += [(row, int(p), int(t)) for p, t in zip(places, said, strict=True)]
            prompts += [tuple(tokens[start[p] : p + 1].tolist()) for p in places]
            streams.append(
                _unit(run.attn_in[middle] if middle < model.n_layers else run.last)[0][places]
            )
            parts = torch.einsum("wnd,dn->nw", run.written[0][:, places], directions[:, said])
            added.append(_unit(parts))
            progress.advance()
    columns = np.array(found, dtype=np.int64).reshape(-1, 3)
    rows, positions, tokens_said = columns.T
    return Predictions(
        rows,
        positions,
        tokens_said,
        np.concatenate(streams),
        np.concatenate(added),
        tuple(prompts),
    )


def _unit(value: Float[Tensor, "*rows d"]) -> Float[np.ndarray, "*rows d"]:
    """Rows of length 1, in float32."""
    value = value.float()
    found: np.ndarray = (value / value.norm(dim=-1, keepdim=True)).cpu().numpy()
    return found


def settled(found: Predictions) -> Float[np.ndarray, " n"]:
    """How often the last two tokens of a prediction are followed by it, elsewhere in the text.

    Two tokens that are hardly seen elsewhere say nothing; then the last one decides.
    """
    tokens = found.token.tolist()

    def share(n: int) -> tuple[np.ndarray, np.ndarray]:
        before = [prompt[-n:] for prompt in found.prompt]
        seen, both = Counter(before), Counter(zip(before, tokens, strict=True))
        times = np.array([seen[b] - 1 for b in before])
        said = np.array([both[b, t] - 1 for b, t in zip(before, tokens, strict=True)])
        return times, said / np.maximum(times, 1)

    (times, two), (_, one) = share(2), share(1)
    return np.where(times >= _FEW, two, one)


def propose(
    model: Model,
    found: Predictions,
    *,
    clusters: int,
    pairs: int,
    seed: int = 0,
) -> tuple[Behaviour, ...]:
    """Proposed behaviours, the most frequent first; clusters without enough pairs are left out."""
    asked = np.flatnonzero(settled(found) < OPEN)
    count = min(clusters, len(asked))
    if count == 0:
        return ()
    described = np.concatenate([found.stream[asked], found.added[asked]], 1)
    label = KMeans(count, n_init=4, random_state=seed).fit_predict(described)
    generator = np.random.default_rng(seed)
    proposed = []
    for cluster in range(count):
        members = asked[label == cluster]
        rest = asked[label != cluster]
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
