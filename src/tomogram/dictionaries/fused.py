"""Fused: the sparse arithmetic of dictionaries in single Triton kernels, for CUDA.

Scores are never written to memory. The search multiplies twice instead: a first product gives the
maxima of some groups of latents, whose k-th largest is a bound that at least k latents reach; a
second one writes down the latents that reach it. What they write down is a few numbers a token.

This module needs Triton and is imported where that is installed (`kernels`). It has run in Triton's
interpreter and not yet on a GPU.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

_TOKENS, _LATENTS, _WIDTH = 32, 64, 64
"""The sides of the tiles of the products."""

_GROUP = 16
"""At most so many latents are in a group, of which the first product keeps the largest score."""

_MARGIN = 2.0**-6
"""The bound is lowered by this share of itself, a few steps of bfloat16."""


def candidates(
    x: Float[Tensor, "tokens d_in"],
    weight: Float[Tensor, "d_dict d_in"],
    bias: Float[Tensor, " d_dict"],
    k: int,
) -> tuple[
    Float[Tensor, "tokens slots"],
    Int[Tensor, "tokens slots"],
    Float[Tensor, " tokens"],
    Int[Tensor, " tokens"],
]:
    """The latents of each token whose scores reach a bound, at least k of them.

    Gives scores and latents in rising order, the bounds, and how many latents reach them. There are
    2k slots: those not needed hold the score -inf and latent 0, and where more reach the bound than
    there are slots, the last ones are left out.
    """
    tokens, d_in = x.shape
    d_dict = len(weight)
    x, weight, bias = x.contiguous(), weight.contiguous(), bias.contiguous()
    slots = min(2 * k, d_dict)
    group = _GROUP
    while group > 1 and d_dict < 4 * k * group:
        group //= 2
    groups = triton.cdiv(d_dict, _LATENTS) * (_LATENTS // group)
    maxima = torch.empty(tokens, groups, dtype=torch.float32, device=x.device)
    blocks = triton.cdiv(tokens, _TOKENS)
    shape = (tokens, d_in, d_dict, groups)
    tiles = {"TOKENS": _TOKENS, "LATENTS": _LATENTS, "WIDTH": _WIDTH}
    _maxima[(blocks, triton.cdiv(d_dict, _LATENTS))](
        x, weight, bias, maxima, *shape, GROUP=group, **tiles
    )
    bounds = torch.topk(maxima, k, dim=1, sorted=False).values.amin(1)
    bounds = bounds - _MARGIN * bounds.abs()
    scores = torch.full((tokens, slots), -torch.inf, dtype=torch.float32, device=x.device)
    latents = torch.zeros(tokens, slots, dtype=torch.int64, device=x.device)
    counts = torch.empty(tokens, dtype=torch.int64, device=x.device)
    _reaching[(blocks,)](
        x, weight, bias, bounds, scores, latents, counts, tokens, d_in, d_dict, slots, **tiles
    )
    return scores, latents, bounds, counts


def products_at(
    x: Float[Tensor, "tokens d_in"],
    weight: Float[Tensor, "d_dict d_in"],
    indices: Int[Tensor, "tokens k"],
) -> Float[Tensor, "tokens k"]:
    """x·weightᵀ at the given latents only."""
    tokens, k = indices.shape
    x, weight, indices = x.contiguous(), weight.contiguous(), indices.contiguous()
    out = torch.empty(tokens, k, dtype=x.dtype, device=x.device)
    slots = min(16, triton.next_power_of_2(k))
    _products_at[(tokens, triton.cdiv(k, slots))](
        x, weight, indices, out, x.shape[1], k, SLOTS=slots, WIDTH=_WIDTH
    )
    return out


def mix(
    values: Float[Tensor, "tokens k"],
    indices: Int[Tensor, "tokens k"],
    weight: Float[Tensor, "d_dict d_out"],
) -> Float[Tensor, "tokens d_out"]:
    """Σ_j values[t, j] · weight[indices[t, j]] for each token t."""
    tokens, k = indices.shape
    values, indices, weight = values.contiguous(), indices.contiguous(), weight.contiguous()
    out = torch.empty(tokens, weight.shape[1], dtype=weight.dtype, device=weight.device)
    ends = torch.arange(0, tokens * k + 1, k, device=weight.device)
    _sum_rows[_grid(out)](values, indices, ends, weight, out, weight.shape[1], WIDTH=_wide(out))
    return out


def mix_tokens(
    values: Float[Tensor, " slots"],
    tokens: Int[Tensor, " slots"],
    starts: Int[Tensor, " d_dict_plus_1"],
    rows: Float[Tensor, "tokens d"],
) -> Float[Tensor, "d_dict d"]:
    """For each latent i, Σ values[s] · rows[tokens[s]] over s from starts[i] to starts[i + 1]."""
    values, tokens, rows = values.contiguous(), tokens.contiguous(), rows.contiguous()
    out = torch.empty(len(starts) - 1, rows.shape[1], dtype=rows.dtype, device=rows.device)
    _sum_rows[_grid(out)](values, tokens, starts, rows, out, rows.shape[1], WIDTH=_wide(out))
    return out


def _wide(out: Tensor) -> int:
    """How much of a row of the result one program computes."""
    return min(512, triton.next_power_of_2(out.shape[1]))


def _grid(out: Tensor) -> tuple[int, int]:
    return len(out), triton.cdiv(out.shape[1], _wide(out))


@triton.jit
def _tile(
    x,
    weight,
    bias,
    token,
    latent,
    n_tokens,
    d_in,
    d_dict,
    TOKENS: tl.constexpr,
    LATENTS: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """Scores of some tokens and some latents; -inf where there is no such latent."""
    score = tl.zeros((TOKENS, LATENTS), dtype=tl.float32)
    for first in range(0, d_in, WIDTH):
        place = first + tl.arange(0, WIDTH)
        a = tl.load(
            x + token[:, None] * d_in + place[None, :],
            mask=(token[:, None] < n_tokens) & (place[None, :] < d_in),
            other=0.0,
        )
        b = tl.load(
            weight + latent[:, None] * d_in + place[None, :],
            mask=(latent[:, None] < d_dict) & (place[None, :] < d_in),
            other=0.0,
        )
        score += tl.dot(a, tl.trans(b), input_precision="ieee")
    own = tl.load(bias + latent, mask=latent < d_dict, other=0.0).to(tl.float32)
    return tl.where(latent[None, :] < d_dict, score + own[None, :], -float("inf"))


@triton.jit
def _maxima(
    x,
    weight,
    bias,
    maxima,
    n_tokens,
    d_in,
    d_dict,
    n_groups,
    GROUP: tl.constexpr,
    TOKENS: tl.constexpr,
    LATENTS: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """The largest score of each group of latents."""
    token = tl.program_id(0).to(tl.int64) * TOKENS + tl.arange(0, TOKENS)
    latent = tl.program_id(1).to(tl.int64) * LATENTS + tl.arange(0, LATENTS)
    score = _tile(x, weight, bias, token, latent, n_tokens, d_in, d_dict, TOKENS, LATENTS, WIDTH)
    best = tl.max(tl.reshape(score, (TOKENS, LATENTS // GROUP, GROUP)), axis=2)
    group = tl.program_id(1).to(tl.int64) * (LATENTS // GROUP) + tl.arange(0, LATENTS // GROUP)
    into = maxima + token[:, None] * n_groups + group[None, :]
    tl.store(into, best, mask=token[:, None] < n_tokens)


@triton.jit
def _reaching(
    x,
    weight,
    bias,
    bounds,
    scores,
    latents,
    counts,
    n_tokens,
    d_in,
    d_dict,
    n_slots,
    TOKENS: tl.constexpr,
    LATENTS: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """Writes down which latents reach the bound of their token, in rising order."""
    token = tl.program_id(0).to(tl.int64) * TOKENS + tl.arange(0, TOKENS)
    bound = tl.load(bounds + token, mask=token < n_tokens, other=float("inf"))
    count = tl.zeros((TOKENS,), dtype=tl.int64)
    for first in range(0, d_dict, LATENTS):
        latent = first + tl.arange(0, LATENTS)
        score = _tile(
            x, weight, bias, token, latent, n_tokens, d_in, d_dict, TOKENS, LATENTS, WIDTH
        )
        # Not below the bound rather than above: what is no number counts as the largest.
        reached = (~(score < bound[:, None])) & (latent[None, :] < d_dict)
        ones = reached.to(tl.int64)
        slot = count[:, None] + tl.cumsum(ones, axis=1) - 1
        fits = reached & (slot < n_slots) & (token[:, None] < n_tokens)
        into = token[:, None] * n_slots + slot
        tl.store(scores + into, score, mask=fits)
        tl.store(latents + into, tl.broadcast_to(latent[None, :], (TOKENS, LATENTS)), mask=fits)
        count += tl.sum(ones, axis=1)
    tl.store(counts + token, count, mask=token < n_tokens)


@triton.jit
def _products_at(x, weight, indices, out, d_in, k, SLOTS: tl.constexpr, WIDTH: tl.constexpr):
    """Some products of one token."""
    token = tl.program_id(0).to(tl.int64)
    slot = tl.program_id(1) * SLOTS + tl.arange(0, SLOTS)
    latent = tl.load(indices + token * k + slot, mask=slot < k, other=0)
    total = tl.zeros((SLOTS,), dtype=tl.float32)
    for first in range(0, d_in, WIDTH):
        place = first + tl.arange(0, WIDTH)
        a = tl.load(x + token * d_in + place, mask=place < d_in, other=0.0).to(tl.float32)
        b = tl.load(
            weight + latent[:, None] * d_in + place[None, :],
            mask=(slot[:, None] < k) & (place[None, :] < d_in),
            other=0.0,
        )
        total += tl.sum(a[None, :] * b.to(tl.float32), axis=1)
    tl.store(out + token * k + slot, total, mask=slot < k)


@triton.jit
def _sum_rows(values, chosen, starts, rows, out, width, WIDTH: tl.constexpr):
    """A part of one row of the result: weighted rows, added in order."""
    row = tl.program_id(0).to(tl.int64)
    place = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    total = tl.zeros((WIDTH,), dtype=tl.float32)
    for slot in range(tl.load(starts + row), tl.load(starts + row + 1)):
        value = tl.load(values + slot).to(tl.float32)
        source = tl.load(chosen + slot).to(tl.int64)
        part = tl.load(rows + source * width + place, mask=place < width, other=0.0)
        total += value * part.to(tl.float32)
    tl.store(out + row * width + place, total, mask=place < width)
