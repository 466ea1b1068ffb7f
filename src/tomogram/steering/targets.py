"""Targets: what can be turned. A feature of a dictionary, or a direction at a site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError


class Target(Protocol):
    """An activation that is read at one site and a vector that carries it at another."""

    @property
    def read(self) -> Site:
        """The site whose value tells the activation."""

    @property
    def write(self) -> Site:
        """The site that changes."""

    @property
    def writes(self) -> Float[Tensor, " d_out"]:
        """What one unit of activation adds at the write site."""

    @property
    def name(self) -> str:
        """A short name for reports."""


@dataclass(frozen=True, eq=False)
class Feature:
    """A latent of a dictionary; one unit of it adds its row of W_dec.

    Raises:
        TomogramError: the dictionary has no such latent, or reads or writes several sites.
    """

    dictionary: Dictionary
    latent: int

    def __post_init__(self) -> None:
        dictionary = self.dictionary
        for sites, verb in ((dictionary.shape.reads, "reads"), (dictionary.shape.writes, "writes")):
            if len(sites) != 1:
                raise TomogramError(
                    f"{dictionary.name} {verb} {len(sites)} sites; only features of one site each"
                    " way can be turned."
                )
        if not 0 <= self.latent < dictionary.d_dict:
            raise TomogramError(
                f"{dictionary.name} has latents 0 to {dictionary.d_dict - 1}, not {self.latent}."
            )

    @property
    def read(self) -> Site:
        """The site the dictionary reads."""
        return self.dictionary.read

    @property
    def write(self) -> Site:
        """The site the dictionary writes."""
        return self.dictionary.write

    @property
    def writes(self) -> Float[Tensor, " d_out"]:
        """The latent's row of W_dec."""
        return self.dictionary.W_dec[self.latent].detach()

    @property
    def name(self) -> str:
        """`resid_post.2/123`."""
        return f"{self.dictionary.name}/{self.latent}"


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction at a site. Its activation is the projection on it, so a unit is one of length.

    The vector is kept with length 1.

    Raises:
        TomogramError: the vector is not one row of finite numbers, or has no length.
    """

    site: Site
    vector: Float[Tensor, " d"]
    name: str = "direction"

    def __post_init__(self) -> None:
        vector = self.vector.detach().float()
        length = vector.norm() if vector.ndim == 1 else torch.tensor(0.0)
        if not (bool(torch.isfinite(length)) and bool(length > 0)):
            raise TomogramError(f"{self.name} at {self.site} is no vector with a length.")
        object.__setattr__(self, "vector", vector / length)

    @property
    def read(self) -> Site:
        """Its site."""
        return self.site

    @property
    def write(self) -> Site:
        """Its site."""
        return self.site

    @property
    def writes(self) -> Float[Tensor, " d"]:
        """The vector of length 1."""
        return self.vector


def activations(
    target: Target, x: Float[Tensor, "*rows d_in"], codes: dict[int, Tensor] | None = None
) -> Float[Tensor, "*rows"]:
    """How strongly a target is active in values of its read site.

    Args:
        codes: dense codes of these same values by the `id` of their dictionary, filled here, so
            that several features of one dictionary encode once.
    """
    if isinstance(target, Direction):
        return x.float() @ target.vector.to(x.device)
    assert isinstance(target, Feature)
    codes = {} if codes is None else codes
    dictionary = target.dictionary
    if id(dictionary) not in codes:
        flat = x.reshape(-1, x.shape[-1]).to(dictionary.W_enc.dtype)
        codes[id(dictionary)] = dictionary.encode(flat).dense()
    return codes[id(dictionary)][:, target.latent].view(x.shape[:-1])
