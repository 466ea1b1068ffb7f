"""Start: a forward pass that goes on from the residual stream after some block.

What lies before a change is the same with and without it. A pass that only has to show what a
change at a late layer does may so begin there, with the same bits as a whole pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from tomogram.models.sites import Site
from tomogram.models.wiring import Wiring
from tomogram.store.errors import TomogramError


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """The residual stream after a block (its `resid_post`), from which a forward pass goes on."""

    layer: int
    stream: Float[Tensor, "batch pos d_model"]

    def reaches(self, site: Site) -> bool:
        """Whether a pass that starts here goes by a site as it does in a whole pass."""
        if site.layer is None:
            return site.kind in ("final_norm", "logits")
        return site.layer > self.layer or site == Site("resid_post", self.layer)

    def check(self, sites: frozenset[Site], shape: tuple[int, int, int]) -> None:
        """Raise a TomogramError for a site before the start, or a stream of another shape."""
        missed = [site for site in sorted(sites, key=str) if not self.reaches(site)]
        if missed:
            raise TomogramError(
                f"A forward pass that starts after block {self.layer} does not reach {missed[0]}."
            )
        if tuple(self.stream.shape) != shape:
            raise TomogramError(
                f"The stream to start from must have shape {shape}, not {tuple(self.stream.shape)}."
            )


@contextmanager
def started(wiring: Wiring, start: Start | None) -> Iterator[None]:
    """Within the block, the blocks up to the start compute nothing and hand on its stream."""
    before = [] if start is None else wiring.blocks[: start.layer + 1]
    try:
        for block in before:
            assert start is not None
            # A module calls its own attribute `forward`; its hooks stay as they are.
            block.module.forward = _handing_on(start.stream, wiring)
        yield
    finally:
        for block in before:
            _ordinary(block.module)


def skipped(module: nn.Module) -> bool:
    """Whether the pass that is running goes on past a block, which only hands on a stream."""
    return isinstance(module.__dict__.get("forward"), _HandingOn)


@dataclass(frozen=True, slots=True, eq=False)
class _HandingOn:
    """The forward of a block that computes nothing."""

    output: Any

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.output


def _handing_on(stream: Tensor, wiring: Wiring) -> Callable[..., Any]:
    return _HandingOn((stream, None) if wiring.structure.block_gives_tuple else stream)


def _ordinary(module: nn.Module) -> None:
    module.__dict__.pop("forward", None)
