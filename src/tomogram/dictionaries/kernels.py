"""The sparse arithmetic of dictionaries: only the search for active latents is dense.

With k latents active of d_dict, decoding and every gradient touch k rows of the weights per
token. The search is the one dense matrix product. Where the processor multiplies bfloat16
natively it runs in bfloat16 for a few more candidates than needed, and the candidates are scored
again in float32; the rounding error is measured on the candidates of each row, and a row where it
could have hidden a true winner is searched again in float32.

On CUDA the same is done by fused kernels (`fused`) where Triton is installed.

All reductions run in an order fixed by the data, so a result is the same bit for bit at a fixed
number of threads.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.dictionaries.blocks import over_blocks
from tomogram.dictionaries.selection import largest_of, reaching

# torch says so once a process; what is used of it here is tested.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")

CHUNK = 4 * 2**20
"""The threads together have scores of so many numbers in memory: 16 MB in float32."""

FEW = 256
"""With fewer tokens than this, casting the weights to bfloat16 takes longer than it saves."""

_SLACK = 3
"""Candidates are all whose bfloat16 score is at most so many of its steps below the k-th."""

_ROUNDING = 2.0**-8
"""A number is off by at most so large a share of itself once it is rounded to bfloat16."""


@cache
def multiplies_bfloat16(device: str) -> bool:
    """Whether a device multiplies bfloat16 in hardware, several times faster than float32."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return False
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


@cache
def _with_triton() -> ModuleType | None:
    """The fused kernels, where Triton is installed."""
    try:
        return import_module("tomogram.dictionaries.fused")
    except ImportError:
        return None


def _fused(x: Tensor) -> ModuleType | None:
    """The fused kernels, where they can compute with such a tensor."""
    return _with_triton() if x.is_cuda and x.dtype != torch.float64 else None


def largest(
    scores: Float[Tensor, "tokens width"], k: int
) -> tuple[Float[Tensor, "tokens k"], Int[Tensor, "tokens k"]]:
    """The k largest entries of each row and their columns, in rising order of the columns."""
    if scores.device.type != "cpu":
        columns = torch.topk(scores, k, dim=1, sorted=False).indices.sort(1).values
        return scores.gather(1, columns), columns
    entries = reaching(scores, k)
    places = largest_of(entries, entries.values, k)
    return entries.values[places], torch.from_numpy(entries.columns)[places]


def search(
    x: Float[Tensor, "tokens d_in"],
    weight: Float[Tensor, "d_dict d_in"],
    bias: Float[Tensor, " d_dict"],
    k: int,
) -> tuple[Float[Tensor, "tokens k"], Int[Tensor, "tokens k"]]:
    """The k largest scores x·weightᵀ + bias of each token and their latents, in rising order."""
    # With a large part of the latents as candidates, the float32 search is the cheaper one; for a
    # few tokens, such as a prompt's, the weights are not worth being cast.
    few = x.device.type == "cpu" and len(x) < FEW
    if few or not (_is_low(x) and 4 * k <= len(weight)):
        return _search_alike(x, weight, bias, k)
    with torch.no_grad():
        find = _search_fused if _fused(x) else _search_low
        low = weight.bfloat16(), bias.bfloat16()
        values, latents, doubtful = find(x, weight, bias, *low, k)
        if doubtful.any():
            values[doubtful], latents[doubtful] = _search_alike(x[doubtful], weight, bias, k)
        return values, latents


Search = Callable[[Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""How the k best latents are found: `search` or `search_roughly`."""


def search_roughly(
    x: Float[Tensor, "tokens d_in"],
    weight: Float[Tensor, "d_dict d_in"],
    bias: Float[Tensor, " d_dict"],
    k: int,
) -> tuple[Float[Tensor, "tokens k"], Int[Tensor, "tokens k"]]:
    """`search` up to rounding: where bfloat16 is native its scores decide alone."""
    if not _is_low(x):
        return _search_alike(x, weight, bias, k)
    values, latents = _search_alike(x.bfloat16(), weight.bfloat16(), bias.bfloat16(), k)
    return values.to(x.dtype), latents


def _is_low(x: Tensor) -> bool:
    """Whether low precision is the faster one."""
    return x.dtype == torch.float32 and multiplies_bfloat16(x.device.type)


def _search_alike(x: Tensor, weight: Tensor, bias: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The winners by the scores in the number format of the arguments."""

    def find(_: Tensor, scores: Tensor) -> tuple[Tensor, ...]:
        return largest(scores, k)

    with torch.no_grad():
        into = x.new_empty(len(x), k), x.new_empty(len(x), k, dtype=torch.int64)
        _over_tokens(find, x, weight, bias, into)
        return into


def _search_low(
    x: Tensor, weight: Tensor, bias: Tensor, low_weight: Tensor, low_bias: Tensor, k: int
) -> tuple[Tensor, ...]:
    """The winners among the best by bfloat16 scores, scored again, and which tokens are in doubt:
    rounding might have hidden a true winner of theirs."""

    def find(part: Tensor, rough: Tensor) -> tuple[Tensor, ...]:
        if x.device.type != "cpu":
            best = torch.topk(rough, k + max(8, k // 2), dim=1)
            return _best_of(part, weight, bias, best.values, best.indices, best.values[:, -1], k)
        entries = reaching(rough, k, slack=_SLACK)
        columns, starts = torch.from_numpy(entries.columns), torch.from_numpy(entries.starts)
        scored = _products_of(part, weight, columns, starts) + bias[columns]
        error = _beyond_rounding(scored, entries.values).numpy()
        worst = torch.from_numpy(np.maximum.reduceat(error, entries.starts[:-1]))
        places = largest_of(entries, scored, k)
        values = scored[places]
        return values, columns[places], _unsure(values, entries.bounds, worst)

    into = (
        x.new_empty(len(x), k),
        x.new_empty(len(x), k, dtype=torch.int64),
        x.new_empty(len(x), dtype=torch.bool),
    )
    _over_tokens(find, x, low_weight, low_bias, into)
    return into


def _over_tokens(
    find: Callable[[Tensor, Tensor], tuple[Tensor, ...]],
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    into: tuple[Tensor, ...],
) -> None:
    """Writes down what `find` makes of tokens and their scores, which it sees block by block."""

    def work(rows: slice, scratch: Tensor) -> None:
        part = x[rows]
        scores = scratch[: len(part)]
        torch.addmm(bias, part.to(weight.dtype), weight.t(), out=scores)
        for whole, own in zip(into, find(part, scores), strict=True):
            whole[rows] = own

    def scratch(rows: int) -> Tensor:
        return weight.new_empty(rows, len(weight))

    on_cpu = x.device.type == "cpu"
    size = max(1, CHUNK // (torch.get_num_threads() if on_cpu else 1) // len(weight))
    if on_cpu:
        over_blocks(work, len(x), size, scratch)
        return
    own = scratch(min(size, len(x)))
    for first in range(0, len(x), size):
        work(slice(first, first + size), own)


def _search_fused(
    x: Tensor, weight: Tensor, bias: Tensor, low_weight: Tensor, low_bias: Tensor, k: int
) -> tuple[Tensor, ...]:
    """`_search_low` without a matrix of scores."""
    fused = _fused(x)
    assert fused is not None
    rough, latents, bounds, counts = fused.candidates(x.bfloat16(), low_weight, low_bias, k)
    values, latents, unsure = _best_of(x, weight, bias, rough, latents, bounds, k)
    return values, latents, unsure | (counts > rough.shape[1])


def _best_of(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    rough: Tensor,
    latents: Tensor,
    bounds: Tensor,
    k: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The best k of each token's candidates by scores at the precision of x, in rising order, and
    which tokens are in doubt. No latent left out reaches the bound; slots at -inf are empty."""
    empty = rough == -torch.inf
    scored = score_at(x, weight, bias, latents).masked_fill(empty, -torch.inf)
    error = _beyond_rounding(scored, rough).masked_fill(empty, 0).amax(1)
    values, places = torch.topk(scored, k, dim=1, sorted=False)
    rising = latents.gather(1, places).sort(1)
    return values.gather(1, rising.indices), rising.values, _unsure(values, bounds, error)


def _beyond_rounding(scored: Tensor, rough: Tensor) -> Tensor:
    """How far bfloat16 scores are off, beyond the rounding of the score itself."""
    rough = rough.float()
    return ((scored - rough).abs() - _ROUNDING * rough.abs()).relu()


def _unsure(winners: Tensor, bounds: Tensor, error: Tensor) -> Tensor:
    """Whether a latent whose bfloat16 score does not reach the bound may be above the least
    winner, where candidates were off by the error."""
    bounds = bounds.float()
    return ~(winners.amin(1) >= bounds + _ROUNDING * bounds.abs() + 2 * error)


def score_at(
    x: Float[Tensor, "tokens d_in"],
    weight: Float[Tensor, "d_dict d_in"],
    bias: Float[Tensor, " d_dict"],
    indices: Int[Tensor, "tokens k"],
) -> Float[Tensor, "tokens k"]:
    """x·weightᵀ + bias at the given latents only, at the precision of x."""
    return _products_at(x, weight, indices) + bias[indices]


def _products_at(x: Tensor, weight: Tensor, indices: Tensor) -> Tensor:
    """x·weightᵀ at `indices` [tokens k]: k products of length d_in a token."""
    if fused := _fused(x):
        return fused.products_at(x, weight, indices)
    tokens, k = indices.shape
    starts = torch.arange(0, tokens * k + 1, k, device=x.device)
    return _products_of(x, weight, indices.reshape(-1), starts).view(tokens, k)


def _products_of(x: Tensor, weight: Tensor, columns: Tensor, starts: Tensor) -> Tensor:
    """x·weightᵀ at some columns of each row, those of row r from `starts[r]` on."""
    if x.device.type == "cpu" and torch.backends.mkl.is_available():
        pattern = torch.sparse_csr_tensor(
            starts,
            columns,
            x.new_zeros(len(columns)),
            (len(x), len(weight)),
            check_invariants=False,
        )
        return torch.sparse.sampled_addmm(pattern, x, weight.t(), beta=0.0).values()
    rows = torch.repeat_interleave(starts.diff())
    size = max(1, CHUNK // weight.shape[1])
    parts = zip(rows.split(size), columns.split(size), strict=True)
    return torch.cat([(x[r] * weight[c]).sum(1) for r, c in parts])


def _mix(values: Tensor, indices: Tensor, weight: Tensor) -> Tensor:
    """Σ_j values[t, j] · weight[indices[t, j]] for each token t."""
    if fused := _fused(weight):
        return fused.mix(values, indices, weight)
    return F.embedding_bag(indices, weight, per_sample_weights=values, mode="sum")


@dataclass(frozen=True)
class ByLatent:
    """The slots of a batch sorted by latent: what every gradient of the weights sums over.

    `order` lists the flat slots (token · k + slot) latent by latent and `tokens` the token of each;
    those of latent i begin at `starts[i]` and end before `starts[i + 1]`.
    """

    order: Int[Tensor, " slots"]
    tokens: Int[Tensor, " slots"]
    starts: Int[Tensor, " d_dict_plus_1"]

    @classmethod
    def of(cls, indices: Int[Tensor, "tokens k"], d_dict: int) -> ByLatent:
        """Sorts the slots of `indices`; latents that no token uses own no slots."""
        flat = indices.reshape(-1)
        if flat.device.type == "cpu" and d_dict <= 2**16:
            # numpy sorts numbers of two bytes by radix, four times as fast.
            order = torch.from_numpy(np.argsort(flat.numpy().astype(np.uint16), kind="stable"))
        else:
            order = torch.sort(flat, stable=True).indices
        starts = F.pad(torch.bincount(flat, minlength=d_dict).cumsum(0), (1, 0))
        return cls(order, order // indices.shape[1], starts)

    def mix_tokens(
        self, values: Float[Tensor, "tokens k"], rows: Float[Tensor, "tokens d"]
    ) -> Float[Tensor, "d_dict d"]:
        """For each latent i, the sum of value · row over the tokens that use it."""
        ordered = values.reshape(-1)[self.order]
        if fused := _fused(rows):
            return fused.mix_tokens(ordered, self.tokens, self.starts, rows)
        return F.embedding_bag(
            self.tokens,
            rows,
            self.starts,
            per_sample_weights=ordered,
            mode="sum",
            include_last_offset=True,
        )

    def totals(self, values: Float[Tensor, "tokens k"]) -> Float[Tensor, " d_dict"]:
        """For each latent, the sum of its values."""
        ordered = values.reshape(-1)[self.order]
        return torch.segment_reduce(ordered, "sum", offsets=self.starts, unsafe=True)


class _ScoreAt(torch.autograd.Function):
    """`score_at` with gradients that touch only the scored latents."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        indices: Tensor,
        by_latent: ByLatent,
        known: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, indices)
        ctx.by_latent = by_latent
        return score_at(x, weight, bias, indices) if known is None else known.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, indices = ctx.saved_tensors
        need_x, need_weight, need_bias = ctx.needs_input_grad[:3]
        return (
            _mix(grad, indices, weight) if need_x else None,
            ctx.by_latent.mix_tokens(grad, x) if need_weight else None,
            ctx.by_latent.totals(grad) if need_bias else None,
            None,
            None,
            None,
        )


class _Mix(torch.autograd.Function):
    """The decoder's product with gradients that touch only the active latents."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, weight: Tensor, indices: Tensor, by_latent: ByLatent
    ) -> Tensor:
        ctx.save_for_backward(values, weight, indices)
        ctx.by_latent = by_latent
        return _mix(values, indices, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        values, weight, indices = ctx.saved_tensors
        need_values, need_weight = ctx.needs_input_grad[:2]
        grad = grad.contiguous()
        return (
            _products_at(grad, weight, indices) if need_values else None,
            ctx.by_latent.mix_tokens(values, grad) if need_weight else None,
            None,
            None,
        )


class _Missed(torch.autograd.Function):
    """`missed`, whose gradients need no more than the residual itself."""

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        weight: Tensor,
        rest: Tensor,
        y: Tensor,
        indices: Tensor,
        by_latent: ByLatent,
        over_latents: Callable[[Tensor], Tensor],
    ) -> tuple[Tensor, Tensor]:
        residual = _residual(values, weight, rest, y, indices, over_latents)
        ctx.save_for_backward(values, weight, indices, residual)
        ctx.by_latent, ctx.of_each_token = by_latent, rest.ndim == 2
        ctx.mark_non_differentiable(residual)
        # Else the residual, which has none, would get a gradient of zeros of its own size.
        ctx.set_materialize_grads(False)
        return _squares(residual), residual

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return (None,) * 7
        values, weight, indices, residual = ctx.saved_tensors
        need_values, need_weight, need_rest = ctx.needs_input_grad[:3]
        # The residual's own gradient is a multiple of it, which is cheaper to apply to the slots.
        scale = -2 * grad
        by_rest = None
        if need_rest:
            by_rest = scale * (residual if ctx.of_each_token else residual.sum(0))
        return (
            _products_at(residual, weight, indices).mul_(scale) if need_values else None,
            ctx.by_latent.mix_tokens(values * scale, residual) if need_weight else None,
            by_rest,
            None,
            None,
            None,
            None,
        )


def _residual(
    values: Tensor,
    weight: Tensor,
    rest: Tensor,
    y: Tensor,
    indices: Tensor,
    over_latents: Callable[[Tensor], Tensor],
) -> Tensor:
    written = over_latents(_mix(values, indices, weight))
    return torch.sub(y, written, out=written).sub_(rest)


class _Squares(torch.autograd.Function):
    """`squares`, in one pass each way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return _squares(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return x * (2 * grad)


def _squares(x: Tensor) -> Tensor:
    flat = x.reshape(-1)
    return torch.dot(flat, flat)


def squares(x: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Σ x², differentiable."""
    result: Tensor = _Squares.apply(x)
    return result


def missed(
    y: Float[Tensor, "tokens d_out"],
    values: Float[Tensor, "tokens k"],
    indices: Int[Tensor, "tokens k"],
    weight: Float[Tensor, "d_dict d_out"],
    rest: Float[Tensor, "... d_out"],
    by_latent: ByLatent | None = None,
    over_latents: Callable[[Tensor], Tensor] = lambda own: own,
) -> tuple[Float[Tensor, ""], Float[Tensor, "tokens d_out"]]:
    """Σ‖e‖² and e = y − Σ_j values[t, j] · weight[indices[t, j]] − rest.

    rest: one row for all tokens, or a row for each. over_latents: adds up what several shards of
    the latents write. The sum is differentiable in values, weight and rest; e carries no gradient.
    """
    if not torch.is_grad_enabled():
        residual = _residual(values, weight, rest, y, indices, over_latents)
        return _squares(residual), residual
    by_latent = by_latent or ByLatent.of(indices, len(weight))
    sum_, residual = _Missed.apply(values, weight, rest, y, indices, by_latent, over_latents)
    return sum_, residual


def scores(
    x: Float[Tensor, "tokens d_in"],
    weight: Float[Tensor, "d_dict d_in"],
    bias: Float[Tensor, " d_dict"],
    indices: Int[Tensor, "tokens k"],
    by_latent: ByLatent | None = None,
    known: Float[Tensor, "tokens k"] | None = None,
) -> Float[Tensor, "tokens k"]:
    """`score_at`, differentiable in x, weight and bias.

    `by_latent` is made once and shared; `known` are the scores where a search has found them.
    """
    if not torch.is_grad_enabled():
        return score_at(x, weight, bias, indices) if known is None else known
    by_latent = by_latent or ByLatent.of(indices, len(weight))
    result: Tensor = _ScoreAt.apply(x, weight, bias, indices, by_latent, known)
    return result


def mix(
    values: Float[Tensor, "tokens k"],
    indices: Int[Tensor, "tokens k"],
    weight: Float[Tensor, "d_dict d_out"],
    by_latent: ByLatent | None = None,
) -> Float[Tensor, "tokens d_out"]:
    """Σ_j values[t, j] · weight[indices[t, j]], differentiable in values and weight."""
    if not torch.is_grad_enabled():
        return _mix(values, indices, weight)
    by_latent = by_latent or ByLatent.of(indices, len(weight))
    result: Tensor = _Mix.apply(values, weight, indices, by_latent)
    return result
