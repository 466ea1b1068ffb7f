"""Dictionary: the base of every kind. Linear maps in and out, and a sparse code between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tomogram.dictionaries import kernels
from tomogram.dictionaries.across import ALONE, Across
from tomogram.dictionaries.latents import Latents
from tomogram.dictionaries.shape import Shape
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError


@dataclass(frozen=True)
class Objective:
    """What one training batch gives: the loss to descend and what the trainer keeps count of.

    `loss` is a scalar with gradients. `fvu` is the fraction of variance unexplained in this batch.
    """

    loss: Float[Tensor, ""]
    fvu: Float[Tensor, ""]
    latents: Latents


class Dictionary(nn.Module, ABC):
    """f = sparse(x·W_encᵀ + b_enc) and x̂ = f·W_dec + b_dec (+ x·W_skipᵀ where the shape skips).

    Weights: `W_enc [d_dict d_in]`, `b_enc [d_dict]`, `W_dec [d_dict d_out]`, `b_dec [d_out]` and
    `W_skip [d_out d_in]` or None. x is the activation as the model has it. There is one
    convention: b_dec is not subtracted before encoding and nothing is normalised; files of other
    conventions are folded into this one when they are loaded.

    `across` says how latents and tokens are spread over processes. A dictionary whose latents are
    holds its shard's rows of every weight, and `d_dict` counts those.
    """

    kind: ClassVar[str]

    def __init__(self, shape: Shape, d_dict: int) -> None:
        super().__init__()
        if d_dict < 1:
            raise TomogramError(f"A dictionary needs at least one latent, not {d_dict}.")
        self.shape = shape
        self.across: Across = ALONE
        self.W_enc = nn.Parameter(torch.zeros(d_dict, shape.d_in))
        self.b_enc = nn.Parameter(torch.zeros(d_dict))
        self.W_dec = nn.Parameter(torch.zeros(d_dict, shape.d_out))
        self.b_dec = nn.Parameter(torch.zeros(shape.d_out))
        self.W_skip = nn.Parameter(torch.zeros(shape.d_out, shape.d_in)) if shape.skip else None

    @property
    def read(self) -> Site:
        """The site it reads; for several, use `shape.reads`."""
        return _only(self.shape.reads, "reads")

    @property
    def write(self) -> Site:
        """The site it writes; for several, use `shape.writes`."""
        return _only(self.shape.writes, "writes")

    @property
    def name(self) -> str:
        """A short name, safe as a file name: `resid_post.3`."""
        return self.shape.name

    @property
    def d_in(self) -> int:
        """Width of what it reads."""
        return self.shape.d_in

    @property
    def d_out(self) -> int:
        """Width of what it writes."""
        return self.shape.d_out

    @property
    def d_dict(self) -> int:
        """How many latents it has; of a dictionary in shards, how many this process holds."""
        return len(self.W_enc)

    @property
    def first(self) -> int:
        """The number of its first latent among those of all shards."""
        return self.across.shard * self.d_dict

    @abstractmethod
    def encode(self, x: Float[Tensor, "tokens d_in"]) -> Latents:
        """The latents that fire on each token, differentiable in x and in the weights."""

    @abstractmethod
    def objective(
        self,
        x: Float[Tensor, "tokens d_in"],
        y: Float[Tensor, "tokens d_out"],
        dead: Bool[Tensor, " d_dict"],
    ) -> Objective:
        """The training loss of this kind for inputs x and targets y.

        `dead` marks the latents that have been silent for long; a kind may revive them.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The kind's own numbers (such as k), as its constructor takes them."""

    def scores(self, x: Float[Tensor, "tokens d_in"]) -> Float[Tensor, "tokens d_dict"]:
        """Every latent's score x·W_encᵀ + b_enc before anything is made sparse (dense: costly)."""
        return torch.addmm(self.b_enc, x, self.W_enc.t())

    def decode(self, latents: Latents) -> Float[Tensor, "tokens d_out"]:
        """What the latents write, with the bias and without the skip path."""
        return self.mix(latents) + self.b_dec

    def mix(
        self, latents: Latents, by_latent: kernels.ByLatent | None = None
    ) -> Float[Tensor, "tokens d_out"]:
        """What the latents of all shards write, without the bias."""
        own = kernels.mix(latents.values, latents.indices, self.W_dec, by_latent)
        return self.across.over_latents(own)

    def missed(
        self,
        x: Float[Tensor, "tokens d_in"],
        y: Float[Tensor, "tokens d_out"],
        latents: Latents,
        by_latent: kernels.ByLatent | None = None,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "tokens d_out"]]:
        """Σ‖y − ŷ‖² over this part's tokens, with gradients, and y − ŷ without."""
        return kernels.missed(
            y,
            latents.values,
            latents.indices,
            self.W_dec,
            self.b_dec + self.skip(x),
            by_latent,
            self.across.over_latents,
        )

    def forward(self, x: Float[Tensor, "tokens d_in"]) -> Float[Tensor, "tokens d_out"]:
        """The reconstruction x̂ [tokens d_out] of what stands at the write sites."""
        return self.decode(self.encode(x)) + self.skip(x)

    @torch.no_grad()
    def stretch(self, factor: float) -> None:
        """Makes every latent's value `factor` times as large, and what it writes per value as much
        smaller, in place: reconstructions stay what they were."""
        self.W_enc.mul_(factor)
        self.b_enc.mul_(factor)
        self.W_dec.div_(factor)

    @torch.no_grad()
    def shift_input(self, centre: Float[Tensor, " d_in"]) -> None:
        """Makes the scores of x what those of x − centre were, in place."""
        self.b_enc.sub_(self.W_enc @ centre)

    @torch.no_grad()
    def scale_input(self, scale: Float[Tensor, " d_in"]) -> None:
        """Makes the scores of x what those of x / scale were, in place."""
        self.W_enc.div_(scale)

    def keep_zeros(self) -> None:
        """Removes, before an optimiser step, the gradients of weights that must stay 0."""

    @torch.no_grad()
    def start(
        self,
        encoder: Float[Tensor, "d_dict d_in"],
        decoder: Float[Tensor, "d_dict d_out"],
    ) -> None:
        """Takes first weights, whatever stood there; biases and skip path begin at 0.

        A kind whose latents see or write only some sites takes its part."""
        for weight in self.parameters():
            weight.zero_()
        self.W_enc.copy_(encoder)
        self.W_dec.copy_(decoder)

    def skip(self, x: Float[Tensor, "tokens d_in"]) -> Float[Tensor, "tokens d_out"] | float:
        """What the skip path writes; 0 without one."""
        return 0.0 if self.W_skip is None else x @ self.W_skip.t()


def _only(sites: tuple[Site, ...], verb: str) -> Site:
    if len(sites) != 1:
        raise TomogramError(f"This dictionary {verb} {len(sites)} sites, not one.")
    return sites[0]


def fraction_unexplained(
    y: Float[Tensor, "tokens d"], residual: Float[Tensor, "tokens d"], across: Across = ALONE
) -> Float[Tensor, ""]:
    """FVU = Σ‖y − ŷ‖² / Σ‖y − ȳ‖² of a batch, over the tokens of all parts; the residual is not
    centred.

    Centring the residual would hide a constant bias.
    """
    return fraction_missed(y, kernels.squares(residual), across)


def fraction_missed(
    y: Float[Tensor, "tokens d"], missed: Float[Tensor, ""], across: Across = ALONE
) -> Float[Tensor, ""]:
    """`fraction_unexplained` where this part's Σ‖y − ŷ‖² is known."""
    sums = across.over_tokens(torch.cat([y.sum(0), y.new_tensor([len(y)])]))
    total = kernels.squares(y - sums[:-1] / sums[-1])
    missed, total = across.over_tokens(torch.stack([missed, total]))
    return missed / total.clamp_min(torch.finfo(y.dtype).tiny)


def names_of(dictionaries: Sequence[Dictionary]) -> list[str]:
    """A name for each, safe as a file name: its place, and where several stand at one place, kind,
    latents and options, too: `resid_post.3-topk-2048-k32`.

    Raises TomogramError where two are alike in all of that.
    """
    places = Counter(each.name for each in dictionaries)
    names = [each.name if places[each.name] == 1 else _full_name(each) for each in dictionaries]
    if len(set(names)) < len(names):
        raise TomogramError(f"Two of the dictionaries to train are alike: {sorted(names)}.")
    return names


def _full_name(dictionary: Dictionary) -> str:
    latents = dictionary.d_dict * dictionary.across.shards
    options = [
        f"{name}{value:g}".replace(".", "_")
        for name, value in dictionary.config().items()
        if isinstance(value, int | float)
    ]
    return "-".join([dictionary.name, dictionary.kind, str(latents), *options])
