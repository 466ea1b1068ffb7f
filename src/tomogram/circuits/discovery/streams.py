"""Streams: run a model in which every reader of the residual stream has a stream of its own.

What reads the stream is separated (queries, keys and values of each head, each MLP, the logits), so
that one edge can be changed and no other. What each reader gets is said by the caller; everything
between two reads is the model's own forward pass, whatever its family.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tomogram.circuits.discovery.edges import EdgeGraph
from tomogram.models import norm as norms
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.projections import Project, projecting
from tomogram.models.sites import Site
from tomogram.models.wiring import Block, matrix

Norm = Callable[[nn.Module | None, Tensor], Tensor]
"""Applies a norm to a stream; methods that replace gradients bring one of their own."""


def plain(norm: nn.Module | None, stream: Tensor) -> Tensor:
    """Apply a norm as it is."""
    if norm is None:
        return stream
    normed: Tensor = norm(stream)
    return normed


@dataclass(frozen=True, slots=True, eq=False)
class Writes:
    """What each writer added to the residual stream in one run, and the stream it adds up to.

    Args:
        written: what each writer wrote, in the order of the graph's writers.
        attn_in, mlp_in: the stream that each layer's attention and MLP read (before their norms).
        last: the stream that the final norm read.
    """

    written: Float[Tensor, "batch writer pos d_model"]
    attn_in: tuple[Float[Tensor, "batch pos d_model"], ...]
    mlp_in: tuple[Float[Tensor, "batch pos d_model"], ...]
    last: Float[Tensor, "batch pos d_model"]


@torch.no_grad()
def writes(model: Model, graph: EdgeGraph, tokens: Int[Tensor, "batch pos"]) -> Writes:
    """Run the model as it is and keep what each writer wrote."""
    layers = range(graph.n_layers)
    mids = [Site("resid_mid", i) for i in layers if not graph.parallel[i]]
    kinds = ("resid_pre", "head_z", "attn_out", "mlp_out")
    sites = [Site(kind, layer) for kind in kinds for layer in layers]
    last = Site("resid_post", graph.n_layers - 1)
    run = model.run(tokens, capture=[*sites, *mids, last], logits=False)
    written = [run[Site("resid_pre", 0)][:, None]]
    for layer in layers:
        z, out = run[Site("head_z", layer)], run[Site("attn_out", layer)]
        written.append(HeadOutputs.of(model, model.wiring.blocks[layer])(z, out))
        written.append(run[Site("mlp_out", layer)][:, None])
    pre = tuple(run[Site("resid_pre", layer)] for layer in layers)
    mid = tuple(pre[i] if graph.parallel[i] else run[Site("resid_mid", i)] for i in layers)
    return Writes(torch.cat(written, 1), pre, mid, run[last])


@dataclass(frozen=True, slots=True, eq=False)
class HeadOutputs:
    """How what heads mix becomes what each of them adds to the stream, in one layer.

    Where attention is normed before it is added, the norm's denominators are those of the run
    itself, and each head's share is what it adds under them.

    Args:
        matrices: the output projection of each head.
        normed: whether there is such a norm; with its gain and bias, and whether it centres.
    """

    matrices: Float[Tensor, "head d_head d_model"]
    normed: bool
    gain: Float[Tensor, " d_model"] | None = None
    bias: Float[Tensor, " d_model"] | None = None
    centres: bool = False

    @classmethod
    def of(cls, model: Model, block: Block) -> HeadOutputs:
        """Read them off a block; norms are probed here, because a running one must not be."""
        by_head = matrix(block.heads_to_stream).unflatten(0, (model.n_heads, -1))
        norm, width = block.attention_post_norm, model.d_model
        if norm is None:
            return cls(by_head, False)
        gain, bias = norms.gain(norm, width), norms.bias(norm, width)
        return cls(by_head, True, gain, bias, norms.centres(norm, width))

    def __call__(
        self,
        z: Float[Tensor, "batch pos head d_head"],
        attn_out: Float[Tensor, "batch pos d_model"],
    ) -> Float[Tensor, "batch head pos d_model"]:
        """What each head adds, from what it mixed and what attention as a whole added."""
        out = torch.einsum("bphz,hzd->bhpd", z, self.matrices)
        if not self.normed:
            return out
        assert self.gain is not None
        assert self.bias is not None
        linear = (out - out.mean(-1, keepdim=True) if self.centres else out) * self.gain
        along = linear.sum(1)
        scale = ((attn_out - self.bias) * along).sum(-1) / along.square().sum(-1)
        return linear * scale[:, None, :, None]


@dataclass(eq=False)
class Separated:
    """One run with separate streams, from inside: what was written so far.

    `written` are the writers' outputs up to now, `stream` their sum with all biases.
    """

    written: list[Float[Tensor, "batch writer pos d_model"]] = field(default_factory=list)
    stream: Float[Tensor, "batch pos d_model"] | None = None
    last: Float[Tensor, "batch pos d_model"] | None = None


Reads = Callable[[slice, Separated], Float[Tensor, "batch reader pos d_model"]]
"""Gives some readers (their places in the graph) their streams, from what was written so far."""


def run_separated(
    model: Model,
    graph: EdgeGraph,
    tokens: Int[Tensor, "batch pos"],
    reads: Reads,
    *,
    norm: Norm = plain,
    interventions: Mapping[Site, Intervention] | None = None,
) -> Separated:
    """Run the model with the streams that `reads` gives to each reader.

    The stream that the logits read is the last one asked for; it is kept as `last`. Gradients flow
    through the streams exactly when the caller's grad mode says so.

    Args:
        norm: how norms before readers are applied.
        interventions: further ones, at `resid_pre.0` or any layer's `head_q`, `head_k`, `head_v`,
            `attn_out`, `mlp_in`, `neurons` or `mlp_out`; they see and give values of this run.
    """
    extra = dict(interventions or {})
    outputs = [HeadOutputs.of(model, block) for block in model.wiring.blocks]
    state = Separated()
    made: dict[Site, Tensor] = {}
    hooks: dict[Site, Intervention] = {}

    def changed(site: Site, value: Tensor) -> Tensor:
        return extra[site](value) if site in extra else value

    def start(value: Tensor) -> Tensor:
        value = changed(Site("resid_pre", 0), value)
        state.stream = value
        state.written.append(value[:, None])
        return value

    def reached(layer: int, project: Project) -> None:
        streams = reads(graph.head_readers(layer), state)
        batch, n = streams.shape[:2]
        normed = norm(model.wiring.blocks[layer].attention_norm, streams)
        heads = project(normed.flatten(0, 1))
        kinds = ("head_q", graph.heads), ("head_k", graph.kv_heads), ("head_v", graph.kv_heads)
        first = 0
        for (kind, count), values in zip(
            kinds, (heads.queries, heads.keys, heads.values), strict=True
        ):
            own = values.unflatten(0, (batch, n))[:, first : first + count]
            # The reader of head h has its own row; of that row only head h is wanted.
            made[Site(kind, layer)] = own.diagonal(dim1=1, dim2=3).movedim(-1, 2)
            first += count

    def head(site: Site) -> Intervention:
        return lambda value: changed(site, made[site])

    def kept_z(site: Site) -> Intervention:
        def hook(value: Tensor) -> Tensor:
            made[site] = value
            return value

        return hook

    def attended(layer: int) -> Intervention:
        def hook(value: Tensor) -> Tensor:
            value = changed(Site("attn_out", layer), value)
            z = made[Site("head_z", layer)]
            assert state.stream is not None
            state.written.append(outputs[layer](z, value))
            made[Site("attn_out", layer)] = value
            if not graph.parallel[layer]:
                state.stream = state.stream + value
            return value

        return hook

    def into_mlp(layer: int) -> Intervention:
        def hook(value: Tensor) -> Tensor:
            place = graph.mlp_reader(layer)
            stream = reads(slice(place, place + 1), state)[:, 0]
            return changed(Site("mlp_in", layer), norm(model.wiring.blocks[layer].mlp_norm, stream))

        return hook

    def after_mlp(layer: int) -> Intervention:
        def hook(value: Tensor) -> Tensor:
            value = changed(Site("mlp_out", layer), value)
            assert state.stream is not None
            state.written.append(value[:, None])
            state.stream = state.stream + value
            if graph.parallel[layer]:
                state.stream = state.stream + made[Site("attn_out", layer)]
            return value

        return hook

    for layer in range(graph.n_layers):
        for kind in ("head_q", "head_k", "head_v"):
            hooks[Site(kind, layer)] = head(Site(kind, layer))
        hooks[Site("head_z", layer)] = kept_z(Site("head_z", layer))
        hooks[Site("attn_out", layer)] = attended(layer)
        hooks[Site("mlp_in", layer)] = into_mlp(layer)
        hooks[Site("mlp_out", layer)] = after_mlp(layer)
    hooks[Site("resid_pre", 0)] = start
    hooks |= {site: extra[site] for site in extra if site.kind == "neurons"}
    with projecting(model.wiring, reached):
        # The model's own logits are of no use: its last stream is one of many readers' streams.
        done = Site("mlp_out", graph.n_layers - 1)
        model.run(tokens, capture=[done], interventions=hooks, logits=False)
    place = len(graph.readers) - 1
    state.last = reads(slice(place, place + 1), state)[:, 0]
    return state


def unembed(
    model: Model, stream: Float[Tensor, "*rows d_model"], norm: Norm
) -> Float[Tensor, "*rows d_vocab"]:
    """The logits of a last stream, with the final norm applied in a given way."""
    if norm is plain:
        return model.unembed(stream)
    wiring = model.wiring
    normed = norm(wiring.final_norm, stream)
    if wiring.project_out is not None:
        normed = wiring.project_out(normed)
    scores: Tensor = wiring.unembed(normed)
    softcap = getattr(model.module.config, "final_logit_softcapping", None)
    return scores if softcap is None else torch.tanh(scores / softcap) * softcap


def circuit_stream(
    model: Model,
    graph: EdgeGraph,
    tokens: Int[Tensor, "batch pos"],
    kept: Float[Tensor, "writer reader"] | Float[Tensor, "batch writer reader"],
    counterfactual: Writes,
) -> Float[Tensor, "batch pos d_model"]:
    """Run a circuit alone: along every edge outside it comes what the counterfactual run wrote.

    Returns the stream that the final norm reads.

    Args:
        kept: 1 for edges of the circuit, 0 for others, for all rows or row by row.
        counterfactual: the writes of the counterfactual prompts, row by row.
    """
    possible = torch.from_numpy(graph.possible).to(counterfactual.written)
    removed = (1 - kept.to(possible)) * possible

    def reads(readers: slice, state: Separated) -> Tensor:
        assert state.stream is not None
        change = torch.cat(state.written, 1)
        change = change - counterfactual.written[:, : change.shape[1]]
        away = removed[..., : change.shape[1], readers]
        equation = "bwpd,wr->brpd" if away.ndim == 2 else "bwpd,bwr->brpd"
        return state.stream[:, None] - torch.einsum(equation, change, away)

    last = run_separated(model, graph, tokens, reads).last
    assert last is not None
    return last
