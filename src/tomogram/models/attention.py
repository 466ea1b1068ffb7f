"""Look inside attention: queries, keys, values and the pattern, beside the ordinary computation.

The output is computed by the kernel the model would use anyway, so watching changes no bit of it.
transformers lets us name the function a model computes attention with; a watched forward runs under
a name of ours, whose function shows its inputs to a visitor and then calls the ordinary kernel. The
pattern is computed beside it and only when asked for. A changed pattern enters as the difference
(new - old) . v, so that an unchanged one adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask

from tomogram.models.sites import Site
from tomogram.models.wiring import Wiring


class Visitor(Protocol):
    """What a forward pass shows its values to; it may hand back another value."""

    def visit(self, site: Site, value: Tensor) -> Tensor: ...

    def concerns(self, site: Site) -> bool: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Watch:
    visitor: Visitor
    layers: Mapping[nn.Module, int]


_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)

Kernel = Callable[..., tuple[Tensor, Any]]


@contextmanager
def watched(wiring: Wiring, visitor: Visitor) -> Iterator[None]:
    """Within the block, show the inside of every attention of the model to the visitor."""
    modules = [block.attention for block in wiring.blocks]
    token = _watch.set(_Watch(visitor, {module: i for i, module in enumerate(modules)}))
    try:
        method = wiring.structure.attention_method
        if method is None:
            with _implementation_renamed(wiring.module.config):
                yield
        else:
            with _methods_wrapped(modules, method):
                yield
    finally:
        _watch.reset(token)


@contextmanager
def watched_inside(wiring: Wiring, visitor: Visitor) -> Iterator[None]:
    """Within the block, another visitor sees the attention of a forward that is watched already."""
    modules = [block.attention for block in wiring.blocks]
    token = _watch.set(_Watch(visitor, {module: i for i, module in enumerate(modules)}))
    try:
        yield
    finally:
        _watch.reset(token)


def pattern(
    query: Float[Tensor, "batch head query d_head"],
    key: Float[Tensor, "batch head key d_head"],
    mask: Tensor | None,
    *,
    scaling: float,
    softcap: float | None = None,
) -> Float[Tensor, "batch head query key"]:
    """Attention weights: softmax of the scaled, capped and masked scores, in float32.

    Args:
        query, key: as they enter the product, one key head a query head.
        mask: boolean (True where attending is allowed), additive, or None for plain causal.
        scaling: what the scores are multiplied by.
        softcap: bound of the scores, c * tanh(score / c), as in Gemma 2.
    """
    scores = query @ key.transpose(2, 3) * scaling
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if mask is None:
        n_query, n_key = scores.shape[-2:]
        # The last query is at the last key, also when earlier keys come from a cache.
        mask = torch.ones(n_query, n_key, dtype=torch.bool, device=scores.device)
        mask = mask.tril(n_key - n_query)
    if mask.dtype == torch.bool:
        # A finite number keeps a row that may attend nowhere free of NaN.
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    else:
        scores = scores + mask
    return scores.softmax(-1, dtype=torch.float32).to(query.dtype)


def _attend(
    kernel: Kernel,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    **rest: Any,
) -> tuple[Tensor, Any]:
    """Call the kernel, showing the visitor what goes in. Returns [batch query head d_head]."""
    watch = _watch.get()
    layer = None if watch is None else watch.layers.get(module)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if softcap is not None:
        rest["softcap"] = softcap
    if watch is None or layer is None:
        return kernel(module, query, key, value, attention_mask, scaling=scale, **rest)
    query = _visit_heads(watch.visitor, Site("head_q", layer), query)
    key = _visit_heads(watch.visitor, Site("head_k", layer), key)
    value = _visit_heads(watch.visitor, Site("head_v", layer), value)
    mixed, weights = kernel(module, query, key, value, attention_mask, scaling=scale, **rest)
    site = Site("pattern", layer)
    if not watch.visitor.concerns(site):
        return mixed, weights
    keys, values = (_one_per_query_head(each, query) for each in (key, value))
    old = pattern(query, keys, attention_mask, scaling=scale, softcap=softcap)
    new = watch.visitor.visit(site, old)
    if new is not old:
        mixed = mixed + ((new - old) @ values).transpose(1, 2)
    return mixed, weights


def _visit_heads(visitor: Visitor, site: Site, states: Tensor) -> Tensor:
    """Show [batch head pos d_head] states to a visitor as [batch pos head d_head]."""
    if not visitor.concerns(site):
        return states
    return visitor.visit(site, states.transpose(1, 2)).transpose(1, 2)


def _one_per_query_head(states: Tensor, query: Tensor) -> Tensor:
    """Repeat shared key or value heads so that each query head has its own."""
    repeats = query.shape[1] // states.shape[1]
    return states if repeats == 1 else states.repeat_interleave(repeats, dim=1)


def _sdpa(*args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
    return _attend(sdpa_attention_forward, *args, **kwargs)


def _eager(*args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
    return _attend(_eager_kernel, *args, **kwargs)


def _eager_kernel(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Attention by its definition, for families whose scores no fused kernel computes (Gemma 2)."""
    keys, values = (_one_per_query_head(each, query) for each in (key, value))
    weights = pattern(query, keys, attention_mask, scaling=scaling, softcap=softcap)
    return (weights @ values).transpose(1, 2).contiguous(), weights


_OURS = {"sdpa": "tomogram-sdpa", "eager": "tomogram-eager"}
AttentionInterface.register(_OURS["sdpa"], _sdpa)
AttentionInterface.register(_OURS["eager"], _eager)
AttentionMaskInterface.register(_OURS["sdpa"], sdpa_mask)
AttentionMaskInterface.register(_OURS["eager"], eager_mask)


@contextmanager
def _implementation_renamed(config: Any) -> Iterator[None]:
    ordinary = config._attn_implementation
    config._attn_implementation = _OURS[ordinary]
    try:
        yield
    finally:
        config._attn_implementation = ordinary


@contextmanager
def _methods_wrapped(modules: list[nn.Module], method: str) -> Iterator[None]:
    """Wrap the method of modules outside the interface: (q, k, v, mask) -> (mixed, weights)."""
    for module in modules:
        setattr(module, method, _wrapped(module, getattr(module, method)))
    try:
        yield
    finally:
        for module in modules:
            delattr(module, method)


def _wrapped(module: nn.Module, ordinary: Kernel) -> Kernel:
    def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Any:
        watch = _watch.get()
        if watch is None:
            return ordinary(query, key, value, mask)
        layer = watch.layers[module]
        query = _visit_heads(watch.visitor, Site("head_q", layer), query)
        key = _visit_heads(watch.visitor, Site("head_k", layer), key)
        value = _visit_heads(watch.visitor, Site("head_v", layer), value)
        mixed, old = ordinary(query, key, value, mask)
        new = watch.visitor.visit(Site("pattern", layer), old)
        return (mixed if new is old else mixed + (new - old) @ value), new

    return attend
