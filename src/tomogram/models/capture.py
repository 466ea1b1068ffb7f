"""Capture and intervene: hooks that show values at sites to a tape during one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from tomogram.models.attention import watched
from tomogram.models.sites import KINDS, Site
from tomogram.models.wiring import Wiring, matrix
from tomogram.store.errors import TomogramError

Intervention = Callable[[Tensor], Tensor]
"""Takes the value at a site and returns the value to go on with, of the same shape."""

_INSIDE_ATTENTION = frozenset({"head_q", "head_k", "head_v", "pattern"})


class AllCaptured(Exception):
    """Ends a forward pass as soon as the last wanted value is there. Never leaves this floor."""


class Tape:
    """Collects the wanted values of one forward pass and applies the interventions.

    An intervention is given a copy, so it may work in place. What is captured at a site is the
    value the model went on with, that is, after the intervention.

    Args:
        capture: sites whose values to keep.
        interventions: function by site.
        stop_early: raise `AllCaptured` once every wanted value is there.
    """

    def __init__(
        self,
        capture: frozenset[Site] = frozenset(),
        interventions: Mapping[Site, Intervention] | None = None,
        *,
        stop_early: bool = False,
    ) -> None:
        self.capture = capture
        self.interventions = dict(interventions or {})
        self.captured: dict[Site, Tensor] = {}
        self._stop_early = stop_early

    @property
    def sites(self) -> frozenset[Site]:
        """All sites at which this tape has something to do."""
        return self.capture | self.interventions.keys()

    def concerns(self, site: Site) -> bool:
        """Say whether this tape has something to do at a site."""
        return site in self.capture or site in self.interventions

    def visit(self, site: Site, value: Tensor) -> Tensor:
        """Pass a value by; returns the very same tensor where there is no intervention.

        Raises:
            TomogramError: an intervention returned something of another shape.
        """
        intervention = self.interventions.get(site)
        if intervention is not None:
            value = _like(value, intervention(value.clone()), site)
        if site in self.capture:
            self.captured[site] = value
            if self._stop_early and len(self.captured) == len(self.capture):
                raise AllCaptured
        return value


@contextmanager
def hooked(wiring: Wiring, tape: Tape, batch: int | Callable[[], int]) -> Iterator[None]:
    """Within the block, every forward pass of the model goes by the tape.

    Args:
        batch: number of rows, or a function that tells it during a pass; some families flatten
            rows and positions inside a block.
    """
    rows = batch if callable(batch) else lambda: batch
    with ExitStack() as stack:
        # Hooks on one module run in the order they are placed: the order of the forward pass.
        for site in sorted(tape.sites, key=lambda each: KINDS.index(each.kind)):
            if site.kind not in _INSIDE_ATTENTION:
                stack.callback(_place(wiring, site, tape, rows).remove)
        if any(site.kind in _INSIDE_ATTENTION for site in tape.sites):
            stack.enter_context(watched(wiring, tape))
        yield


def _place(wiring: Wiring, site: Site, tape: Tape, rows: Callable[[], int]) -> RemovableHandle:
    """Hook the module that reads or writes the value of a site."""

    def by_rows(value: Tensor) -> Tensor:
        if value.ndim > 2:
            return tape.visit(site, value)
        return tape.visit(site, value.unflatten(0, (rows(), -1))).flatten(0, 1)

    def heads(value: Tensor) -> Tensor:
        n_heads = wiring.module.config.num_attention_heads
        return tape.visit(site, value.unflatten(-1, (n_heads, -1))).flatten(-2)

    def every_row(value: Tensor) -> Tensor:
        return tape.visit(site, value.expand(rows(), -1, -1))

    def in_place(value: Tensor) -> Tensor:
        new = by_rows(value)
        # The block keeps this very tensor as its residual: both readers must see the change.
        return value.copy_(new) if site in tape.interventions else value

    match site.kind:
        case "embed":
            return _on_output(wiring.project_in or wiring.embed, by_rows)
        case "pos_embed":
            assert wiring.pos_embed is not None
            return _on_output(wiring.pos_embed, every_row)
        case "final_norm":
            return _on_output(wiring.final_norm, by_rows)
        case "logits":
            return _on_logits(wiring.module, by_rows)
    assert site.layer is not None
    block = wiring.blocks[site.layer]
    match site.kind:
        case "resid_pre":
            return _on_input(block.module, by_rows)
        case "attn_in":
            return _on_input(block.attention, by_rows)
        case "head_z":
            return _on_input(block.heads_to_stream, heads)
        case "head_out":
            return _on_head_outputs(block.heads_to_stream, site, tape, wiring)
        case "attn_out":
            return _on_output(block.attention_writer, by_rows)
        case "resid_mid":
            return _on_input(block.mid_reader, in_place)
        case "mlp_in":
            return _on_input(block.mlp_first, by_rows)
        case "neurons":
            assert block.neurons_to_stream is not None
            return _on_input(block.neurons_to_stream, by_rows)
        case "mlp_out":
            return _on_output(block.mlp_writer, by_rows)
        case "resid_post":
            return _on_output(block.module, by_rows)
    raise AssertionError(site)


def _on_input(module: nn.Module, change: Callable[[Tensor], Tensor]) -> RemovableHandle:
    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (change(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}

    return module.register_forward_pre_hook(hook, with_kwargs=True)


def _on_output(module: nn.Module, change: Callable[[Tensor], Tensor]) -> RemovableHandle:
    def hook(_: nn.Module, args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (change(output[0]), *output[1:])
        return change(output)

    return module.register_forward_hook(hook)


def _on_logits(module: nn.Module, change: Callable[[Tensor], Tensor]) -> RemovableHandle:
    def hook(_: nn.Module, args: Any, output: Any) -> Any:
        output.logits = change(output.logits)
        return output

    return module.register_forward_hook(hook)


def _on_head_outputs(module: nn.Module, site: Site, tape: Tape, wiring: Wiring) -> RemovableHandle:
    """Split the output projection by head; a change enters as the sum of differences."""

    def hook(_: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor:
        n_heads = wiring.module.config.num_attention_heads
        by_head = matrix(module).unflatten(0, (n_heads, -1))
        old = torch.einsum("bphz,hzd->bphd", args[0].unflatten(-1, (n_heads, -1)), by_head)
        new = tape.visit(site, old)
        return output if new is old else output + (new - old).sum(2)

    return module.register_forward_hook(hook)


def _like(old: Tensor, new: Any, site: Site) -> Tensor:
    """Check what an intervention returned and give it the memory layout of what it replaces."""
    if not isinstance(new, Tensor) or new.shape != old.shape:
        got = tuple(new.shape) if isinstance(new, Tensor) else type(new).__name__
        raise TomogramError(
            f"The intervention at {site} must return shape {tuple(old.shape)}, not {got}."
        )
    new = new.to(device=old.device, dtype=old.dtype)
    # Kernels may sum in another order for another layout, and bits would then differ.
    return new if new.stride() == old.stride() else torch.empty_like(old).copy_(new)
