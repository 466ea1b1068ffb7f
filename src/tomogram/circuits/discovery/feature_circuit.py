"""Feature circuit: the features that carry a behaviour over many prompts, and their proof.

A circuit is a set of nodes (`feature_nodes`). Alone, it is the model on the clean prompt in which
every latent and error outside it writes what it writes on the counterfactual prompt; attention,
norms, skip paths and how far a kept latent fires are live. So m(∅) is the model whose MLPs saw the
counterfactual alone, and f says how much of what passes through MLPs the circuit holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tomogram.circuits.discovery.agreement import Agreement, agreement, evenly
from tomogram.circuits.discovery.discover import Settings, halves
from tomogram.circuits.discovery.faithfulness import Ends
from tomogram.circuits.discovery.feature_edges import FeatureEdges, feature_edges
from tomogram.circuits.discovery.feature_nodes import FeatureNodes, coded
from tomogram.circuits.discovery.feature_scores import feature_scores, in_spans
from tomogram.circuits.discovery.intervals import intervals
from tomogram.circuits.discovery.metric import metric
from tomogram.circuits.discovery.pairs import Batch, Pair, batches
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError
from tomogram.store.progress import task
from tomogram.store.schema import Estimate

_DRAWN = 32
"""Most nodes between which edges are drawn, the strongest, and most prompts they are drawn on."""


@dataclass(frozen=True, eq=False)
class FeatureCircuit:
    """A behaviour's circuit over features with its proof.

    Args:
        scores: of all nodes, on the searched pairs.
        kept: the circuit, the strongest node first.
        faithfulness: of the circuit, on the pairs kept back (all pairs where there are few).
        ends: m(N) and m(∅) on those. held_out: how many pairs were kept back; 0 where few.
        measured: nodes that were patched one at a time: the circuit's strongest and a sample.
        effects: what patching each did to m, pair by pair.
        agreement: predicted against measured effect over the sample, both on the pairs kept back;
            None without one.
        edges: between the circuit's strongest nodes, the tokens and the metric.
    """

    nodes: FeatureNodes
    scores: Float[np.ndarray, "pair node"]
    kept: Int[np.ndarray, " kept"]
    faithfulness: Estimate
    ends: Ends
    held_out: int
    measured: Int[np.ndarray, " measured"]
    effects: Float[np.ndarray, "pair measured"]
    agreement: Agreement | None
    edges: FeatureEdges

    @property
    def active(self) -> int:
        """How many nodes differ between the prompts of any searched pair."""
        return int(np.any(self.scores != 0, axis=0).sum())

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the interval of every measured effect."""
        return intervals(self.effects)


def discover_features(
    model: Model,
    dictionaries: Sequence[Dictionary],
    pairs: Sequence[Pair],
    settings: Settings | None = None,
) -> FeatureCircuit:
    """Find the features that carry a behaviour on some of its pairs, and measure them on others.

    Args:
        settings: `method` and `rounds` are not looked at.

    Raises:
        TomogramError: a dictionary is no transcoder of one layer of this model, there is no pair,
            or the MLPs do nothing for the behaviour.
    """
    settings = settings or Settings()
    if not pairs:
        raise TomogramError("A behaviour needs at least one pair.")
    nodes = FeatureNodes.of(model, dictionaries)
    searched, rest = halves(pairs, settings.seed)
    before, after = _ends(model, nodes, searched), _ends(model, nodes, rest)
    scores = feature_scores(model, nodes, searched)
    strength = np.abs(scores).mean(0)
    order = np.argsort(-strength, kind="stable")[: int((strength > 0).sum())]
    kept = _fewest(model, nodes, searched, order, before, settings)
    found = feature_metric(model, nodes, rest, [_mask(nodes, kept)])[0]
    # At most so many nodes, drawn evenly from the deciles of the order.
    drawn = np.sort(order[evenly(len(order), settings.sampled, settings.seed)])
    measured = np.union1d(kept[: settings.sampled], drawn)
    effects = node_effects(model, nodes, rest, measured)
    at = np.searchsorted(measured, drawn)
    # Another prompt's features are others, so what is predicted is predicted for these prompts.
    predicted = feature_scores(model, nodes, rest)[:, drawn]
    return FeatureCircuit(
        nodes=nodes,
        scores=scores,
        kept=kept,
        faithfulness=after.faithfulness(found),
        ends=after,
        held_out=0 if tuple(rest) == tuple(searched) else len(rest),
        measured=measured,
        effects=effects,
        agreement=agreement(predicted.mean(0), effects.mean(0)[at]),
        edges=feature_edges(model, nodes, rest[:_DRAWN], kept[:_DRAWN]),
    )


@torch.no_grad()
def feature_metric(
    model: Model,
    nodes: FeatureNodes,
    pairs: Sequence[Pair],
    masks: Sequence[Bool[np.ndarray, " node"]],
    *,
    tokens: int = 512,
) -> Float[np.ndarray, "circuit pair"]:
    """m of the model with nothing but the nodes of each mask, on every pair."""
    found = np.zeros((len(masks), len(pairs)))
    kept = [torch.from_numpy(mask).to(model.device).view(-1, nodes.a_span) for mask in masks]
    with task("measuring features", total=len(masks) * len(pairs), unit="runs") as progress:
        for batch in batches(pairs, tokens=tokens, device=model.device):
            other = _instead(model, nodes, batch)
            where = in_spans(batch)
            for row, mask in enumerate(kept):
                out = torch.einsum("bps,sn->bpn", where, (~mask).float())
                values = _without(model, nodes, batch, out, other)
                found[row, list(batch.rows)] = values.double().cpu().numpy()
                progress.advance(len(batch.rows))
    return found


def node_effects(
    model: Model, nodes: FeatureNodes, pairs: Sequence[Pair], chosen: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "pair n"]:
    """m(patched) − m(clean) of patching each node alone, by pair."""
    every = np.ones(len(nodes), bool)
    masks = [every]
    for node in chosen:
        one = every.copy()
        one[node] = False
        masks.append(one)
    clean, *patched = feature_metric(model, nodes, pairs, masks)
    return np.stack([each - clean for each in patched], 1) if patched else np.zeros((len(pairs), 0))


_Coded = dict[int, tuple[Tensor, Tensor]]
"""By layer, latents [pair pos d_dict] and error [pair pos d_model]."""


def _instead(model: Model, nodes: FeatureNodes, batch: Batch) -> _Coded:
    """What every node does on the counterfactual prompts."""
    run = model.run(batch.counterfactual, capture=nodes.sites(), logits=False)
    return {
        layer: coded(dictionary, run[Site("mlp_in", layer)], run[Site("mlp_out", layer)])
        for layer, dictionary in nodes.transcoders
    }


def _without(
    model: Model,
    nodes: FeatureNodes,
    batch: Batch,
    out: Float[Tensor, "pair pos node"],
    other: _Coded,
) -> Float[Tensor, " pair"]:
    """m on the clean prompts, what is `out` at a position writing as it does on the others."""
    read: dict[int, Tensor] = {}
    actions: dict[Site, Intervention] = {}

    def listen(layer: int) -> Intervention:
        def keep(value: Tensor) -> Tensor:
            read[layer] = value
            return value

        return keep

    def write(number: int) -> Intervention:
        layer, dictionary = nodes.transcoders[number]
        gone = out[..., nodes.offsets[number] : nodes.offsets[number + 1]]

        def put(value: Tensor) -> Tensor:
            latents, error = coded(dictionary, read[layer], value)
            latents_, error_ = other[layer]
            change = (gone[..., :-1] * (latents_ - latents)) @ dictionary.W_dec
            return value + (change + gone[..., -1:] * (error_ - error)).to(value.dtype)

        return put

    for number, (layer, _) in enumerate(nodes.transcoders):
        actions[Site("mlp_in", layer)] = listen(layer)
        actions[Site("mlp_out", layer)] = write(number)
    last = Site("resid_post", model.n_layers - 1)
    run = model.run(batch.clean, capture=[last], interventions=actions, logits=False)
    return metric(model, batch, run[last])


def _ends(model: Model, nodes: FeatureNodes, pairs: Sequence[Pair]) -> Ends:
    every = np.ones(len(nodes), bool)
    whole, empty = feature_metric(model, nodes, pairs, [every, ~every])
    if abs(float((whole - empty).mean())) < 1e-6:
        raise TomogramError("No MLP does anything for this behaviour, so no feature carries it.")
    return Ends(whole, empty)


def _fewest(
    model: Model,
    nodes: FeatureNodes,
    pairs: Sequence[Pair],
    order: Int[np.ndarray, " n"],
    ends: Ends,
    settings: Settings,
) -> Int[np.ndarray, " kept"]:
    """The fewest nodes of an order that reach the wanted faithfulness, by bisection."""

    def f(count: int) -> float:
        values = feature_metric(model, nodes, pairs, [_mask(nodes, order[:count])])[0]
        return ends.faithfulness(values).value

    low, high = 0, max(1, int(settings.limit * len(order)))
    if f(high) < settings.wanted:
        return order[:high]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if f(middle) >= settings.wanted else (middle, high)
    return order[:high]


def _mask(nodes: FeatureNodes, kept: Int[np.ndarray, " kept"]) -> Bool[np.ndarray, " node"]:
    mask = np.zeros(len(nodes), bool)
    mask[kept] = True
    return mask
