"""Frozen: what a model does to one prompt as a linear map between writes and reads of its stream.

With the attention patterns and the denominators of all norms held at their values on the prompt,
the residual stream that a part reads is a linear map of what the parts before it wrote (Ameisen et
al. 2025, "Circuit Tracing", section "Attribution Graphs"). The map is taken apart into matrices
that can be applied backwards without automatic differentiation. Which matrix makes values of what
attention reads is measured on basis vectors, because families store it in different ways.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tomogram.models import norm as norms
from tomogram.models.model import Model, Run
from tomogram.models.projections import Project, projecting
from tomogram.models.sites import Site
from tomogram.models.wiring import Block, matrix
from tomogram.store.errors import TomogramError

# Rounding of a model's own arithmetic, far below what a map that is not linear would leave.
_TOLERANCE = {torch.bfloat16: 5e-2}


@dataclass(frozen=True, slots=True, eq=False)
class FrozenNorm:
    """A norm whose denominators are held: y = scale · (x − mean x) ∘ gain + bias.

    Args:
        gain, bias: what it multiplies by and adds.
        scale: one over the denominator of each position.
        centred: whether the mean is subtracted (a layer norm).
    """

    gain: Float[Tensor, " d_model"]
    bias: Float[Tensor, " d_model"]
    scale: Float[Tensor, " pos"]
    centred: bool

    @classmethod
    @torch.no_grad()
    def of(cls, module: nn.Module | None, x: Float[Tensor, "pos d_model"]) -> FrozenNorm:
        """The norm as it acts on x; where there is none, the identity.

        Raises:
            TomogramError: the module is no norm of one gain and one denominator a position.
        """
        width = x.shape[-1]
        if module is None:
            one = x.new_ones(width)
            return cls(one, torch.zeros_like(one), x.new_ones(len(x)), False)
        gain, bias = (each(module, width).to(x.dtype) for each in (norms.gain, norms.bias))
        like = next(module.parameters(), x)
        y = module(x.to(like.dtype)).to(x.dtype) - bias
        centred = norms.centres(module, width)
        direction = _centred(x, centred) * gain
        along, size = (y * direction).sum(-1), direction.square().sum(-1)
        frozen = cls(gain, bias, along / size.clamp_min(torch.finfo(x.dtype).tiny), centred)
        _same(f"The norm {type(module).__name__}", frozen.apply(x) - bias, y, like.dtype)
        return frozen

    def apply(self, x: Float[Tensor, "*batch pos d_model"]) -> Float[Tensor, "*batch pos d_model"]:
        """What the norm gives for x, its denominators held."""
        return _centred(x, self.centred) * self.gain * self.scale[:, None] + self.bias

    def forward(self, x: Float[Tensor, "pos n d_model"]) -> Float[Tensor, "pos n d_model"]:
        """Parts of the input as parts of the output: the linear part."""
        return _centred(x, self.centred) * self.gain * self.scale[:, None, None]

    def back(
        self, vectors: Float[Tensor, "n d_model"], positions: Int[Tensor, " n"]
    ) -> Float[Tensor, "n d_model"]:
        """Directions of the output as directions of the input: the transposed linear part."""
        return _centred(vectors * self.gain, self.centred) * self.scale[positions, None]

    def before(self, weight: Float[Tensor, "d_model d_out"]) -> Float[Tensor, "d_model d_out"]:
        """A matrix that reads the output, as one that reads the input up to `scale`."""
        return _centred((self.gain[:, None] * weight).T, self.centred).T

    def after(self, weight: Float[Tensor, "d_in d_model"]) -> Float[Tensor, "d_in d_model"]:
        """A matrix that writes the input, as one that writes the output up to `scale`."""
        return _centred(weight, self.centred) * self.gain


@dataclass(frozen=True, slots=True, eq=False)
class FrozenAttention:
    """Attention with its pattern held, from the stream it reads to what it adds to the stream.

    The norms before and after are folded in: their gains into the matrices, their denominators
    into the pattern, what they and the biases add into `constant`.

    Args:
        pattern: [head query key]; values: [d_model kv d_head]; outputs: [head d_head d_model].
        constant: what attention would add if the stream were 0 everywhere.
    """

    pattern: Float[Tensor, "head query key"]
    values: Float[Tensor, "d_model kv d_head"]
    outputs: Float[Tensor, "head d_head d_model"]
    constant: Float[Tensor, "pos d_model"]

    def mixed(self, x: Float[Tensor, "pos n d_model"], head: int) -> Float[Tensor, "pos n d_head"]:
        """What parts of the stream add to one head's mixed values."""
        own = head // (len(self.pattern) // self.values.shape[1])
        return torch.einsum("qk,knz->qnz", self.pattern[head], x @ self.values[:, own])

    def forward(self, x: Float[Tensor, "pos n d_model"]) -> Float[Tensor, "pos n d_model"]:
        """Parts of the stream it reads, as parts of what it adds."""
        found = torch.zeros_like(x)
        for head in range(len(self.outputs)):
            found += self.mixed(x, head) @ self.outputs[head]
        return found

    def to_mixed(self, g: Float[Tensor, "pos n d_model"]) -> Float[Tensor, "pos n head d_head"]:
        """Directions of what attention adds, as directions of what its heads mixed."""
        heads, d_head, width = self.outputs.shape
        return (g @ self.outputs.reshape(heads * d_head, width).T).unflatten(-1, (heads, d_head))

    def to_values(self, z: Float[Tensor, "pos n head d_head"]) -> Float[Tensor, "pos n kv d_head"]:
        """Directions of what heads mixed, as directions of the values they mixed it of."""
        pos, n, heads, d_head = z.shape
        kv = self.values.shape[1]
        shared = heads // kv
        z = z.view(pos, n, kv, shared, d_head).permute(2, 3, 0, 1, 4)
        # Heads that share values are added up by the product itself: keys × (head, query).
        held = self.pattern[:, :pos, :pos].reshape(kv, shared * pos, pos)
        v = held.transpose(1, 2) @ z.reshape(kv, shared * pos, n * d_head)
        return v.view(kv, pos, n, d_head).permute(1, 2, 0, 3)

    def to_stream(self, v: Float[Tensor, "pos n kv d_head"]) -> Float[Tensor, "pos n d_model"]:
        """Directions of values, as directions of the stream they are made of."""
        return v.flatten(2) @ self.values.flatten(1).T

    def back_from(
        self,
        vectors: Float[Tensor, "n d_model"],
        positions: Int[Tensor, " n"],
        pos: int,
    ) -> Few:
        """Directions of what attention adds at one position each, as directions of the stream it
        reads: every head gives one, times what it looks at each position with."""
        shared = len(self.outputs) // self.values.shape[1]
        z = self.to_mixed(vectors[None])[0].unflatten(1, (-1, shared))  # [n kv shared d_head]
        told = torch.einsum("ngsz,dgz->ngsd", z, self.values).flatten(1, 2)
        return Few(self.pattern[:, positions, :pos].permute(1, 2, 0), told)

    def only(self, head: int) -> FrozenAttention:
        """The same with one head alone; it reads its own values, and adds no constant."""
        shared = len(self.pattern) // self.values.shape[1]
        here, own = slice(head, head + 1), slice(head // shared, head // shared + 1)
        return FrozenAttention(
            self.pattern[here],
            self.values[:, own],
            self.outputs[here],
            torch.zeros_like(self.constant),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Few:
    """n directions of the stream at every position that are sums of few vectors each.

    Direction i at position p is Σ_f coefficients[i, p, f] · vectors[i, f].
    """

    coefficients: Float[Tensor, "n pos few"]
    vectors: Float[Tensor, "n few d_model"]

    @classmethod
    def at(cls, vectors: Float[Tensor, "n d_model"], positions: Int[Tensor, " n"], pos: int) -> Few:
        """Directions that stand at one position each."""
        here = torch.arange(pos, device=positions.device) == positions[:, None]
        return cls(here.to(vectors.dtype)[:, :, None], vectors[:, None])

    def __len__(self) -> int:
        return self.vectors.shape[1]

    def joined(self, other: Few) -> Few:
        """The sum of both."""
        return Few(
            torch.cat([self.coefficients, other.coefficients], 2),
            torch.cat([self.vectors, other.vectors], 1),
        )

    def written_out(self) -> Float[Tensor, "pos n d_model"]:
        """The directions themselves."""
        return (self.coefficients @ self.vectors).transpose(0, 1).contiguous()

    def mixed(self, attention: FrozenAttention) -> Float[Tensor, "pos n head d_head"]:
        """`FrozenAttention.to_mixed` of the directions, of which it sees no more than the few."""
        seen = attention.to_mixed(self.vectors)
        return (self.coefficients @ seen.flatten(2)).unflatten(2, seen.shape[2:]).transpose(0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class FrozenBlock:
    """One transformer block on one prompt.

    Args:
        attention: from `resid_pre` to what it adds.
        attention_norm, mlp_norm: what attention and the MLP read through.
        attention_post_norm: what attention writes through; None where there is no such norm.
        mlp_post_norm: what the MLP writes through; None where its neurons are not to be had.
        parallel: the MLP reads what attention reads, `resid_pre`.
        mlp_in, mlp_out: what the MLP reads and adds.
        neurons: the input of its down projection, where it has one.
    """

    attention: FrozenAttention
    attention_norm: FrozenNorm
    attention_post_norm: FrozenNorm | None
    mlp_norm: FrozenNorm
    mlp_post_norm: FrozenNorm | None
    parallel: bool
    mlp_in: Float[Tensor, "pos d_model"]
    mlp_out: Float[Tensor, "pos d_model"]
    neurons: Float[Tensor, "pos d_mlp"] | None


@dataclass(frozen=True, slots=True, eq=False)
class Frozen:
    """A model on one prompt, its attention patterns and norm denominators held.

    Args:
        tokens: the prompt; embeds: what its tokens and positions write, token embeddings first.
        final_norm: the norm before the unembedding; final: what it gives.
        logits: of every position.
    """

    tokens: Int[Tensor, " pos"]
    blocks: tuple[FrozenBlock, ...]
    embeds: tuple[Float[Tensor, "pos d_model"], ...]
    final_norm: FrozenNorm
    final: Float[Tensor, "pos d_model"]
    logits: Float[Tensor, "pos d_vocab"]

    @property
    def n_pos(self) -> int:
        """Number of tokens of the prompt."""
        return len(self.tokens)

    @property
    def like(self) -> Tensor:
        """A tensor of the device and number format in use."""
        return self.embeds[0]


@torch.no_grad()
def freeze(
    model: Model, tokens: Int[Tensor, " pos"], *, dtype: torch.dtype = torch.float32
) -> Frozen:
    """Run a model on a prompt and take what it did apart into linear maps.

    Args:
        dtype: number format of the maps; what the model computed has its own.

    Raises:
        TomogramError: the prompt is no row of tokens within the context; values are no linear map
            of what attention reads; a norm is none.
    """
    value_maps: dict[int, tuple[Tensor, Tensor]] = {}

    def reached(layer: int, project: Project) -> None:
        value_maps[layer] = _value_map(model, project, len(tokens), dtype)

    with projecting(model.wiring, reached):
        run = model.run(tokens[None], capture=_wanted(model))
    at = _Reader(run, dtype)
    blocks = tuple(
        _block(model, layer, block, at, *value_maps[layer])
        for layer, block in enumerate(model.wiring.blocks)
    )
    last = at("resid_post", model.n_layers - 1)
    embeds = [Site(kind) for kind in ("embed", "pos_embed")]
    assert run.logits is not None
    return Frozen(
        tokens=tokens.to(last.device),
        blocks=blocks,
        embeds=tuple(run[site][0].to(dtype) for site in embeds if site in run.captured),
        final_norm=FrozenNorm.of(model.wiring.final_norm, last),
        final=at("final_norm"),
        logits=run.logits[0].to(dtype),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """Captured values of the one row, in the wanted number format."""

    run: Run
    dtype: torch.dtype

    def __call__(self, kind: str, layer: int | None = None) -> Tensor:
        return self.run[Site(kind, layer)][0].to(self.dtype)

    def has(self, kind: str, layer: int) -> bool:
        return Site(kind, layer) in self.run.captured


def _wanted(model: Model) -> list[Site]:
    kinds = {"embed", "pos_embed", "resid_pre", "resid_mid", "attn_in", "pattern", "head_z"}
    kinds |= {"mlp_in", "mlp_out", "neurons", "final_norm"}
    last = Site("resid_post", model.n_layers - 1)
    return [site for site in model.sites if site.kind in kinds or site == last]


def _block(
    model: Model, layer: int, block: Block, at: _Reader, values: Tensor, value_bias: Tensor
) -> FrozenBlock:
    pre = at("resid_pre", layer)
    read_through = FrozenNorm.of(block.attention_norm, pre)
    pattern, z = at("pattern", layer), at("head_z", layer)
    heads = len(pattern)
    shared = heads // values.shape[1]
    seen = torch.einsum("kd,dgz->kgz", at("attn_in", layer), values) + value_bias
    mixed = torch.einsum("hqk,khz->qhz", pattern, seen.repeat_interleave(shared, 1))
    _same(f"What {model.name} attends to in layer {layer}", mixed, z, model.dtype)

    outputs = matrix(block.heads_to_stream).to(pre.dtype)
    bias = getattr(block.heads_to_stream, "bias", None)
    bias = pre.new_zeros(pre.shape[1]) if bias is None else bias.to(pre.dtype)
    post = FrozenNorm.of(block.attention_post_norm, z.flatten(1) @ outputs + bias)
    fixed = torch.einsum("d,dgz->gz", read_through.bias, values) + value_bias
    fixed = torch.einsum("hqk,hz->qhz", pattern, fixed.repeat_interleave(shared, 0))
    constant = post.apply(fixed.flatten(1) @ outputs + bias)
    attention = FrozenAttention(
        pattern=post.scale[:, None] * pattern * read_through.scale,
        values=read_through.before(values.flatten(1)).view(values.shape).contiguous(),
        outputs=post.after(outputs).view(heads, -1, pre.shape[1]).contiguous(),
        constant=constant,
    )
    mid = pre if block.parallel else at("resid_mid", layer)
    neurons = at("neurons", layer) if at.has("neurons", layer) else None
    return FrozenBlock(
        attention=attention,
        attention_norm=read_through,
        attention_post_norm=None if block.attention_post_norm is None else post,
        mlp_norm=FrozenNorm.of(block.mlp_norm, mid),
        mlp_post_norm=None if neurons is None else _mlp_post_norm(block, neurons),
        parallel=block.parallel,
        mlp_in=at("mlp_in", layer),
        mlp_out=at("mlp_out", layer),
        neurons=neurons,
    )


def _mlp_post_norm(block: Block, neurons: Tensor) -> FrozenNorm:
    assert block.neurons_to_stream is not None
    weight, bias = down_projection(block, neurons)
    return FrozenNorm.of(block.mlp_post_norm, neurons @ weight + bias)


def down_projection(
    block: Block, like: Tensor
) -> tuple[Float[Tensor, "d_mlp d_model"], Float[Tensor, " d_model"]]:
    """Matrix and bias of an MLP's down projection, in the number format of `like`."""
    assert block.neurons_to_stream is not None
    weight = matrix(block.neurons_to_stream).to(like.dtype)
    bias = getattr(block.neurons_to_stream, "bias", None)
    return weight, weight.new_zeros(weight.shape[1]) if bias is None else bias.to(like.dtype)


def _value_map(
    model: Model, project: Project, pos: int, dtype: torch.dtype
) -> tuple[Float[Tensor, "d_model kv d_head"], Float[Tensor, "kv d_head"]]:
    """The matrix and the bias that make a layer's values: those of the basis vectors and of 0."""
    like = next(model.module.parameters())
    width = model.d_model
    rows = -(-(width + 1) // pos)
    basis = like.new_zeros(rows * pos, width)
    basis[:width].fill_diagonal_(1)
    found = project(basis.view(rows, pos, width)).values.flatten(0, 1).to(dtype)
    return found[:width] - found[width], found[width]


def _same(what: str, linear: Tensor, true: Tensor, dtype: torch.dtype) -> None:
    """Refuse a linear map that does not give what the model gave."""
    distance = (linear - true).norm() / true.norm().clamp_min(torch.finfo(true.dtype).tiny)
    if not distance <= _TOLERANCE.get(dtype, 1e-3):
        raise TomogramError(
            f"{what} is not linear with its denominators held (error {float(distance):.1e}),"
            " so no exact graph can be drawn."
        )


def _centred(x: Tensor, centred: bool) -> Tensor:
    return x - x.mean(-1, keepdim=True) if centred else x
