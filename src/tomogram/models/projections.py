"""Projections: the queries, keys and values that a block would make of any stream.

Families make them in different ways (one matrix or three, norms of heads, rotations by position),
so none of it is repeated here: the block's own attention is asked, and stopped as soon as its
queries, keys and values are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from tomogram.models.attention import watched_inside
from tomogram.models.sites import Site
from tomogram.models.wiring import Wiring


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Queries, keys and values as they enter the attention product (after rotary)."""

    queries: Float[Tensor, "row pos head d_head"]
    keys: Float[Tensor, "row pos kv_head d_head"]
    values: Float[Tensor, "row pos kv_head d_head"]


Project = Callable[[Float[Tensor, "row pos d_model"]], Heads]
"""Makes heads of what attention reads (after its norm); rows are a multiple of the batch."""

Reached = Callable[[int, Project], None]
"""Called with a layer and its projection when the forward pass reaches that layer's attention."""


class _Reached(Exception):
    """Ends an attention as soon as its values are there."""


class _Reader:
    """Keeps queries, keys and values, then stops."""

    def __init__(self) -> None:
        self.seen: dict[str, Tensor] = {}

    def visit(self, site: Site, value: Tensor) -> Tensor:
        self.seen[site.kind] = value
        if site.kind == "head_v":
            raise _Reached
        return value

    def concerns(self, site: Site) -> bool:
        return site.kind in ("head_q", "head_k", "head_v")


@contextmanager
def projecting(wiring: Wiring, reached: Reached) -> Iterator[None]:
    """Within the block, every attention of the model hands over its projection when it is reached.

    At least one site inside attention must be watched by the same forward pass.
    """
    with ExitStack() as stack:
        for layer, block in enumerate(wiring.blocks):
            hook = _hook(wiring, layer, reached)
            handle = block.attention.register_forward_pre_hook(hook, with_kwargs=True)
            stack.callback(handle.remove)
        yield


def _hook(wiring: Wiring, layer: int, reached: Reached) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        batch = (args[0] if args else kwargs["hidden_states"]).shape[0]

        def project(stream: Tensor) -> Heads:
            times = stream.shape[0] // batch
            rest = [_repeated(each, batch, times) for each in args[1:]]
            named = {name: _repeated(each, batch, times) for name, each in kwargs.items()}
            reader = _Reader()
            # The method itself, not the module: its hooks belong to the pass that is under way.
            with watched_inside(wiring, reader):
                try:
                    if args:
                        module.forward(stream, *rest, **named)
                    else:
                        module.forward(**named | {"hidden_states": stream})
                except _Reached:
                    pass
            return Heads(*(reader.seen[kind] for kind in ("head_q", "head_k", "head_v")))

        reached(layer, project)

    return hook


def _repeated(value: Any, batch: int, times: int) -> Any:
    """What an attention is given besides its stream, for `times` as many rows, row by row."""
    if isinstance(value, tuple):
        return tuple(_repeated(each, batch, times) for each in value)
    if isinstance(value, Tensor) and value.ndim and value.shape[0] == batch != 1:
        return value.repeat_interleave(times, dim=0)
    return value
