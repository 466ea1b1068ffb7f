"""Shape: where a dictionary reads in the model and where it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError


@dataclass(frozen=True)
class Shape:
    """The sites a dictionary reads and writes, and the widths of what it finds there.

    Several sites are laid side by side: a crosscoder over three layers of width d reads and
    writes 3·d numbers a token. `skip` adds an affine path from input to output beside the
    latents (Paulo et al. 2025, "Transcoders Beat Sparse Autoencoders"). With two `models` every
    site is laid out for each model in turn.
    """

    reads: tuple[Site, ...]
    writes: tuple[Site, ...]
    d_in: int
    d_out: int
    skip: bool = False
    models: int = 1

    def __post_init__(self) -> None:
        if not self.reads or not self.writes:
            raise TomogramError("A dictionary must read at least one site and write at least one.")
        if self.models < 1 or self.d_in % self.models or self.d_out % self.models:
            raise TomogramError(
                f"{self.models} models do not share the widths {self.d_in} and {self.d_out}."
            )
        if self.d_in < 1 or self.d_out < 1:
            raise TomogramError(f"Dictionary widths must be positive: {self.d_in}, {self.d_out}.")

    @property
    def name(self) -> str:
        """A short name that is also a safe file name: `resid_post.3`, `mlp_in.3-mlp_out.3`."""
        reads, writes = "+".join(map(str, self.reads)), "+".join(map(str, self.writes))
        name = reads if self.reads == self.writes else f"{reads}-{writes}"
        return name if self.models == 1 else f"{name}-of_{self.models}_models"

    @property
    def is_autoencoder(self) -> bool:
        """Whether it writes what it reads."""
        return self.reads == self.writes


def autoencoder(site: Site, width: int) -> Shape:
    """One site, read and written (Cunningham et al. 2023; Bricken et al. 2023)."""
    return Shape((site,), (site,), width, width)


def transcoder(layer: int, width: int, *, skip: bool = False) -> Shape:
    """What a layer's MLP reads, to what it adds (Dunefsky et al. 2024)."""
    read, write = Site("mlp_in", layer), Site("mlp_out", layer)
    return Shape((read,), (write,), width, width, skip)


def crosscoder(sites: Sequence[Site], width: int) -> Shape:
    """Several sites of one width, read and written together (Lindsey et al. 2024)."""
    total = width * len(sites)
    return Shape(tuple(sites), tuple(sites), total, total)


def cross_layer_transcoder(n_layers: int, width: int) -> Shape:
    """What every layer's MLP reads, to what this and all later layers' MLPs add (Ameisen et al.
    2025, "Circuit Tracing"); which latent reads and writes what is `CrossLayer`'s matter."""
    reads = tuple(Site("mlp_in", layer) for layer in range(n_layers))
    writes = tuple(Site("mlp_out", layer) for layer in range(n_layers))
    return Shape(reads, writes, n_layers * width, n_layers * width)
