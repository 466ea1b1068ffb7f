"""QK: why a head looked where it did.

With denominators held, the score of a query and a key is bilinear in the residual stream: a sum
over pairs of a node seen by the query and a node seen by the key (Kamath et al. 2025, "Tracing
Attention Computation Through Feature Interactions"). A pattern depends on differences of scores
alone, so what is explained is the score of the key looked at above the others that the query could
have looked at, each counting by its share of the rest of the pattern.

The maps from the stream to queries and keys are measured, since families store them in different
ways: queries and keys are linear in what attention reads or, where they are normed, linear up to a
denominator, and so is their derivative at 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.circuits.graph.attention import Look, Pair, Seen
from tomogram.circuits.graph.carry import of_nodes
from tomogram.circuits.graph.experiments import Held, at_once, changed
from tomogram.circuits.graph.proof import Agreement, agreement
from tomogram.circuits.graph.rows import Reading
from tomogram.circuits.graph.trace import Traced
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

NODES = 12
_HELD: tuple[Held, ...] = ("frozen", "direct")
_SMALL = 1e-3
_TOLERANCE = 1e-2
_READABLE = 1e-5
"""Smaller weights are too near to rounding for their logarithm to be read."""


def look(
    traced: Traced, layer: int, head: int, query: int, key: int, *, nodes: int = NODES
) -> Look:
    """Explain why a head looked from `query` at `key`, and measure the explanation.

    Args:
        nodes: how many nodes of either side are told, measured and paired.

    Raises:
        TomogramError: there is no such head, or no other position to look at, or the model's
            queries and keys are no linear map of the stream with denominators held.
    """
    score = _score(traced, layer, head, query, key)
    by_query = _by_node(traced, score.query_readings())
    by_key = _by_node(traced, score.key_readings())
    chosen = sorted({*_largest(by_query, nodes), *_largest(by_key, nodes)})
    at_query, at_key = score.parts(_stream_before(traced, layer, chosen))
    together = (score.scaling * at_query @ at_key.T).cpu().double().numpy()
    own = np.diagonal(together)
    predicted = by_query[chosen] + by_key[chosen] - own
    measured = {held: score.measured(traced, chosen, held) for held in _HELD}
    seen = [
        Seen(node, *map(float, values))
        for node, *values in zip(
            chosen, by_query[chosen], by_key[chosen], predicted, *measured.values(), strict=True
        )
    ]
    order = np.argsort(-np.abs(together), axis=None)[:nodes]
    pairs = [
        Pair(chosen[row], chosen[column], float(together[row, column]))
        for row, column in zip(*np.unravel_index(order, together.shape), strict=True)
    ]
    return Look(
        layer, head, query, key,
        pattern=score.pattern,
        value=score.value,
        seen=tuple(sorted(seen, key=lambda each: -abs(each.predicted))),
        pairs=tuple(pairs),
        rest_of_query=score.value - float(by_query[chosen].sum()),
        rest_of_key=score.value - float(by_key[chosen].sum()),
    )  # fmt: skip


def looks_agree(looks: Iterable[Look]) -> tuple[Agreement | None, Agreement | None]:
    """Predicted against measured effects of nodes on scores: everything else frozen, and with
    attention and norms live."""
    seen = [each for found in looks for each in found.seen]
    predicted = [each.predicted for each in seen]
    return (
        agreement(predicted, [each.frozen for each in seen]),
        agreement(predicted, [each.direct for each in seen]),
    )


@dataclass(frozen=True, eq=False)
class _Score:
    """The score of a head at one place, above the others, as a bilinear function of the stream.

    Args:
        weights: of the score of each key position: 1 for the one looked at, the others add up to
            −1.
        query_map, key_maps: what the stream gives the query, and the key at each position; a norm
            before attention is part of them.
        query_bias, key_biases: what they are where the stream is 0.
        queried, keyed: what they are on the prompt, `keyed` over all keys by `weights`.
    """

    layer: int
    head: int
    key_head: int
    query: int
    pattern: float
    scaling: float
    weights: Float[Tensor, " pos"]
    query_map: Float[Tensor, "d_head d_model"]
    key_maps: Float[Tensor, "pos d_head d_model"]
    query_bias: Float[Tensor, " d_head"]
    key_biases: Float[Tensor, "pos d_head"]
    queried: Float[Tensor, " d_head"]
    keyed: Float[Tensor, " d_head"]

    @property
    def value(self) -> float:
        return float(self.scaling * self.queried.double() @ self.keyed.double())

    def query_readings(self) -> Reading:
        """The value as a direction of the stream at the query, the keys held."""
        along = self.scaling * self.keyed
        return Reading(
            2 * self.layer,
            torch.tensor([self.query], device=along.device),
            (along @ self.query_map)[None],
            (along @ self.query_bias)[None],
        )

    def key_readings(self) -> Reading:
        """The value as the sum of directions of the stream at the keys, the query held."""
        along = self.scaling * self.queried
        at = self.weights.nonzero()[:, 0]
        weights = self.weights[at]
        vectors = torch.einsum("d,kdm->km", along, self.key_maps[at]) * weights[:, None]
        return Reading(2 * self.layer, at, vectors, self.key_biases[at] @ along * weights)

    def parts(self, stream: Float[Tensor, "pos n d_model"]) -> tuple[Tensor, Tensor]:
        """What parts of the stream give the query, and the keys by their weights: [n d_head]."""
        at_query = stream[self.query] @ self.query_map.T
        at_key = torch.einsum("p,pdm,pnm->nd", self.weights, self.key_maps, stream)
        return at_query, at_key

    def measured(self, traced: Traced, nodes: Sequence[int], held: Held) -> list[float]:
        """What each node adds to the value, by taking away what it writes."""
        queries, keys = Site("head_q", self.layer), Site("head_k", self.layer)
        weights = self.weights.double()
        found: list[float] = []
        size = at_once(traced)
        for start in range(0, len(nodes), size):
            changes = [((node,), -1.0) for node in nodes[start : start + size]]
            run = changed(traced, changes, held, {queries, keys})
            query = run[queries][:, self.query, self.head].double()
            key = run[keys][:, :, self.key_head].double()
            value = self.scaling * torch.einsum("rd,rpd,p->r", query, key, weights)
            found += (value[-1] - value[:-1]).tolist()
        return found


def _score(traced: Traced, layer: int, head: int, query: int, key: int) -> _Score:
    model, frozen = traced.model, traced.linear.frozen
    if not (0 <= layer < model.n_layers and 0 <= head < model.n_heads):
        raise TomogramError(f"{model.name} has no head {head} in layer {layer}.")
    if not 0 <= key <= query < frozen.n_pos:
        raise TomogramError(f"No head looks from position {query} at {key} on this prompt.")
    if query == 0:
        raise TomogramError("The first position can look at itself alone: there is no why.")
    sites = [Site(kind, layer) for kind in ("resid_pre", "head_q", "head_k", "pattern")]
    run = model.run(frozen.tokens[None], capture=sites, logits=False)
    like = frozen.like
    stream, queries, keys, patterns = (run[site][0].to(like) for site in sites)
    key_head = head // (queries.shape[1] // keys.shape[1])
    pattern = patterns[head, query]
    others = pattern.clone()
    others[key] = 0
    others[query + 1 :] = 0
    total = others.sum()
    # A head that looks at one place alone is compared with all others alike.
    if not total > 0:
        others[: query + 1] = 1
        others[key] = 0
        total = others.sum()
    weights = -others / total
    weights[key] = 1
    weights[weights.abs() < _SMALL] = 0
    maps = _maps(traced, layer, head, key_head, queries.shape[-1])
    norm = frozen.blocks[layer].attention_norm
    through = norm.apply(stream)
    (query_map, query_bias) = _fitted(
        model.name, maps[0][query], through[query], queries[query, head]
    )
    at = weights.nonzero()[:, 0].tolist()
    key_maps = like.new_zeros(len(through), *maps[1].shape[1:-1], like.shape[1])
    key_biases = like.new_zeros(len(through), maps[1].shape[1])
    for position in at:
        key_maps[position], key_biases[position] = _fitted(
            model.name, maps[1][position], through[position], keys[position, key_head]
        )
    # The norm before attention, its denominators held, becomes part of the maps.
    query_bias = query_bias + query_map @ norm.bias
    key_biases = key_biases + key_maps @ norm.bias
    every = torch.arange(len(through), device=like.device)
    spot = torch.full((len(query_map),), query, device=like.device)
    return _Score(
        layer, head, key_head, query,
        pattern=float(pattern[key]),
        scaling=_scaling(patterns[head], queries[:, head], keys[:, key_head]),
        weights=weights,
        query_map=norm.back(query_map, spot),
        key_maps=norm.back(
            key_maps.flatten(0, 1), every.repeat_interleave(key_maps.shape[1])
        ).view(key_maps.shape),
        query_bias=query_bias,
        key_biases=key_biases,
        queried=queries[query, head],
        keyed=weights @ keys[:, key_head],
    )  # fmt: skip


def _maps(
    traced: Traced, layer: int, head: int, key_head: int, d_head: int
) -> tuple[Float[Tensor, "pos d_head d_plus"], Float[Tensor, "pos d_head d_plus"]]:
    """Derivative at 0 of queries and keys by what attention reads, and in the last column what
    they are there."""
    model, frozen = traced.model, traced.linear.frozen
    site, queries, keys = (Site(kind, layer) for kind in ("attn_in", "head_q", "head_k"))
    with torch.enable_grad():
        zero = torch.zeros(
            1, *frozen.like.shape, dtype=model.dtype, device=model.device, requires_grad=True
        )
        run = model.run(
            frozen.tokens[None],
            capture=[queries, keys],
            interventions={site: lambda _: zero},
            logits=False,
        )
        found = []
        for states in (run[queries][0, :, head], run[keys][0, :, key_head]):
            # A query or key is made of its own position alone, so a sum over positions mixes none.
            slopes = [
                torch.autograd.grad(states[:, each].sum(), zero, retain_graph=True)[0][0]
                for each in range(d_head)
            ]
            at_zero = states.detach()[..., None]
            found.append(torch.cat([torch.stack(slopes, 1), at_zero], -1).to(frozen.like))
    return found[0], found[1]


def _fitted(
    name: str, map_: Float[Tensor, "d_head d_plus"], x: Tensor, true: Tensor
) -> tuple[Tensor, Tensor]:
    """A map as it acts on x: where queries are normed, their denominator is that on the prompt."""
    weight, bias = map_[:, :-1], map_[:, -1]
    linear, rest = weight @ x, true - bias
    tiny = torch.finfo(x.dtype).tiny
    ratio = (linear @ rest) / (linear @ linear).clamp_min(tiny)
    if not (ratio * linear - rest).norm() <= _TOLERANCE * rest.norm().clamp_min(tiny):
        raise TomogramError(
            f"Queries and keys of {name} are not linear in the stream with denominators held, so"
            " why a head looks somewhere cannot be told."
        )
    return ratio * weight, bias


def _scaling(
    pattern: Float[Tensor, "query key"],
    queries: Float[Tensor, "pos d_head"],
    keys: Float[Tensor, "pos d_head"],
) -> float:
    """What a head multiplies its scores by before the softmax, read off its pattern.

    Families say it in different places, or scale queries instead. Logarithms of weights differ as
    scaled scores do, but for a bias by distance, which is fitted beside it.
    """
    scores = (queries @ keys.T).double().cpu().numpy()
    weights = pattern.double().cpu().numpy()
    rows, columns = np.tril_indices(len(scores))
    first = weights.argmax(1)
    told = (weights[rows, columns] > _READABLE) & (columns != first[rows])
    rows, columns = rows[told], columns[told]
    if not len(rows):
        return queries.shape[1] ** -0.5
    of_scores = scores[rows, columns] - scores[rows, first[rows]]
    of_logs = np.log(weights[rows, columns] / weights[rows, first[rows]])
    away = (columns - first[rows]).astype(float)
    given = np.stack([of_scores, away], 1) if len(rows) > 2 else of_scores[:, None]
    return float(np.linalg.lstsq(given, of_logs, rcond=None)[0][0])


def _by_node(traced: Traced, reading: Reading) -> Float[np.ndarray, " nodes"]:
    """What every node of the graph adds to the sum of some readings; targets add nothing."""
    found = np.zeros(len(traced.graph.nodes))
    added = traced.linear.summed(reading).double().cpu().numpy()
    found[: len(traced.sources)] = added[traced.sources]
    return found


def _largest(values: Float[np.ndarray, " n"], count: int) -> list[int]:
    best = np.argsort(-np.abs(values), kind="stable")[:count]
    return [int(node) for node in best if values[node] != 0]


def _stream_before(traced: Traced, layer: int, nodes: Sequence[int]) -> Tensor:
    return next(itertools.islice(of_nodes(traced, list(nodes)), 2 * layer, None))
