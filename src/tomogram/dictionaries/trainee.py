"""Trainee: one dictionary in training, with everything its next step depends on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tomogram.dictionaries.across import by_latent
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.normalisation import Normalisation, fold
from tomogram.dictionaries.resampling import begin_anew

# Gao et al. 2024, section A.3: the gradient is so small that the usual epsilon of 1e-8 matters.
_EPSILON = 6.25e-10
_ADAM_SLOTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Taken:
    """What one optimiser step saw in its batch, over all processes: the loss of the kind, the
    fraction of variance unexplained, the mean number of latents that fired on a token, and how many
    latents are dead."""

    loss: float
    fvu: float
    l0: float
    dead: int


class Trainee:
    """A dictionary of normalised activations, its Adam state, and how long each latent is silent.

    The dictionary in here works on normalised activations; `finished` gives it for raw ones.
    """

    def __init__(
        self, dictionary: Dictionary, source: Normalisation, target: Normalisation
    ) -> None:
        self.dictionary = dictionary
        self.source, self.target = source, target
        pairs = ((source.centre, target.centre), (source.scale, target.scale))
        self._alike = all(torch.equal(one, other) for one, other in pairs)
        self.silent = torch.zeros(dictionary.d_dict, dtype=torch.int64)
        self.silent = self.silent.to(dictionary.W_enc.device)
        self.optimizer = torch.optim.Adam(dictionary.parameters(), eps=_EPSILON, fused=True)

    @torch.no_grad()
    def start(
        self,
        x: Float[Tensor, "tokens d_in"],
        y: Float[Tensor, "tokens d_out"],
        generator: torch.Generator,
    ) -> None:
        """Sets the first weights, from some raw inputs x and targets y.

        Decoder rows are random unit vectors. Each encoder row is the direction of the input that
        best predicts its decoder row's share of the target, by ridge regression. For an
        autoencoder that is the decoder row itself: the tied start that leaves few latents dead
        (Gao et al. 2024, section A.1).
        """
        weights = self.dictionary
        decoder = _random_rows(weights, generator).to(x)
        encoder = decoder
        if not weights.shape.is_autoencoder:
            encoder = decoder @ _ridge(self.source(x), self.target(y)).T
        weights.start(F.normalize(encoder, dim=1), F.normalize(decoder, dim=1))
        self._normalise_decoder()

    def learn(
        self,
        x: Float[Tensor, "tokens d_in"],
        y: Float[Tensor, "tokens d_out"],
        *,
        rate: float,
        dead_after: int,
        help_dead: bool = True,
    ) -> Taken:
        """One optimiser step on raw activations.

        `rate` is the learning rate; a latent is dead after `dead_after` silent tokens. A loss that
        is not finite leaves the weights as they are, and the FVU that is told is then NaN. The loss
        of a kind that revives dead latents does so only with `help_dead`.
        """
        across = self.dictionary.across
        dead = self.silent >= dead_after
        helped = dead if help_dead else torch.zeros_like(dead)
        objective = self.dictionary.objective(*self._normalised(x, y), helped)
        counts, tokens = objective.latents.counts(), across.tokens(len(x))
        fired = across.over_tokens(counts.sum())
        fired, n_dead = across.over_latents(torch.stack([fired, dead.sum()])).tolist()
        loss, l0 = objective.loss.item(), fired / tokens
        if not math.isfinite(loss):
            return Taken(loss, float("nan"), l0, n_dead)
        self.optimizer.zero_grad()
        objective.loss.backward()
        across.add_gradients(self.dictionary.parameters())
        self.descend(rate)
        self.silent += tokens
        self.silent[across.in_any_part(counts > 0)] = 0
        return Taken(loss, objective.fvu.item(), l0, n_dead)

    @torch.no_grad()
    def resample(
        self,
        x: Float[Tensor, "tokens d_in"],
        y: Float[Tensor, "tokens d_out"],
        *,
        dead_after: int,
        loudness: float,
        generator: torch.Generator,
    ) -> None:
        """Lets latents that are dead after `dead_after` silent tokens begin anew at some of these
        raw activations; Adam forgets what it knew about them (see `resampling`)."""
        dead = self.silent >= dead_after
        begin_anew(self.dictionary, dead, *self._normalised(x, y), loudness, generator)
        for name, parameter in self.dictionary.named_parameters():
            for moments in self.optimizer.state[parameter].values():
                if by_latent(name, moments.ndim):
                    moments[dead] = 0
        self.silent[dead] = 0
        self._normalise_decoder()

    @torch.no_grad()
    def descend(self, rate: float) -> None:
        """One optimiser step along the gradients that stand in the weights.

        `rate` is the learning rate. Gradients are clipped to norm 1; decoder rows keep unit norm.
        """
        self.dictionary.keep_zeros()
        self._tangent_gradient()
        parameters = list(self.dictionary.parameters())
        torch.nn.utils.clip_grads_with_norm_(parameters, 1.0, self._gradient_norm())
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self._normalise_decoder()

    def reconstruct(self, x: Float[Tensor, "tokens d_in"]) -> Float[Tensor, "tokens d_out"]:
        """The reconstruction of raw activations, differentiable."""
        reconstructed: Tensor = self.dictionary(self.source(x))
        return self.target.undo(reconstructed)

    def refreshed(self) -> Trainee:
        """The same dictionary with an optimiser that has seen nothing, for another loss."""
        return Trainee(self.dictionary, self.source, self.target)

    def finished(self) -> Dictionary:
        """A copy of the dictionary for raw activations."""
        raw = type(self.dictionary)(
            self.dictionary.shape, self.dictionary.d_dict, **self.dictionary.config()
        )
        raw.load_state_dict(self.dictionary.state_dict())
        raw.to(self.dictionary.W_enc.device)
        fold(raw, self.source, self.target)
        return raw.requires_grad_(False)

    def state(self) -> dict[str, Tensor]:
        """Everything the next step depends on, as tensors that share no memory with each other."""
        tensors = {f"weights.{name}": p for name, p in self.dictionary.state_dict().items()}
        for name, parameter in self.dictionary.named_parameters():
            for slot, value in self.optimizer.state[parameter].items():
                tensors[f"adam.{slot}.{name}"] = value
        return tensors | {
            "silent": self.silent,
            "source.centre": self.source.centre.clone(),
            "source.scale": self.source.scale.clone(),
            "target.centre": self.target.centre.clone(),
            "target.scale": self.target.scale.clone(),
        }

    @classmethod
    def restored(cls, dictionary: Dictionary, state: Mapping[str, Tensor]) -> Trainee:
        """The trainee whose `state` this is, with its weights in `dictionary`."""
        source, target = (
            Normalisation(state[f"{side}.centre"], state[f"{side}.scale"])
            for side in ("source", "target")
        )
        dictionary.load_state_dict(
            {name: state[f"weights.{name}"] for name in dictionary.state_dict()}
        )
        trainee = cls(dictionary, source, target)
        trainee.silent = state["silent"]
        for name, parameter in dictionary.named_parameters():
            slots = {key: state.get(f"adam.{key}.{name}") for key in _ADAM_SLOTS}
            trainee.optimizer.state[parameter] = {k: v for k, v in slots.items() if v is not None}
        return trainee

    def _normalised(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Both sides as the dictionary in here sees them; of an autoencoder they are one."""
        source = self.source(x)
        return source, source if y is x and self._alike else self.target(y)

    def _tangent_gradient(self) -> None:
        """Removes the part of each decoder row's gradient that would only change its length."""
        rows, gradient = self.dictionary.W_dec, self.dictionary.W_dec.grad
        if gradient is not None:
            # Some rows at a time, which stay in the caches from the product to the difference.
            parts = zip(gradient.split(_FEW), rows.split(_FEW), strict=True)
            for part, row in parts:
                part.addcmul_((part * row).sum(1, keepdim=True), row, value=-1)

    def _gradient_norm(self) -> Tensor:
        """The norm of the gradient of all weights, those of other shards included."""
        own: list[Tensor] = []
        common: list[Tensor] = []
        for name, weight in self.dictionary.named_parameters():
            if weight.grad is not None:
                (own if by_latent(name, weight.ndim) else common).append(weight.grad)
        square = torch.nn.utils.get_total_norm(own).square()
        square = self.dictionary.across.over_latents(square)
        return (square + torch.nn.utils.get_total_norm(common).square()).sqrt()

    def _normalise_decoder(self) -> None:
        rows = self.dictionary.W_dec
        rows.div_(rows.norm(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny))


# Rows that are drawn, or compared, at once.
_SOME, _FEW = 4_096, 512


def _random_rows(
    dictionary: Dictionary, generator: torch.Generator
) -> Float[Tensor, "d_dict d_out"]:
    """Normal numbers, a row for each latent the dictionary has: the same for a latent in whatever
    shard it is, so each process draws the rows of all."""
    first, last = dictionary.first, dictionary.first + dictionary.d_dict
    rows = torch.empty(dictionary.d_dict, dictionary.d_out)
    for low in range(0, dictionary.d_dict * dictionary.across.shards, _SOME):
        high = min(low + _SOME, dictionary.d_dict * dictionary.across.shards)
        drawn = torch.randn(high - low, dictionary.d_out, generator=generator)
        begin, end = max(low, first), min(high, last)
        if begin < end:
            rows[begin - first : end - first] = drawn[begin - low : end - low]
    return rows


def _ridge(
    x: Float[Tensor, "tokens d_in"], y: Float[Tensor, "tokens d_out"]
) -> Float[Tensor, "d_in d_out"]:
    """The linear map from x to y of least squares, with a little ridge for its stability."""
    square = x.T @ x
    ridge = 1e-3 * square.diagonal().mean() * torch.eye(len(square)).to(x)
    solution: Tensor = torch.linalg.solve(square + ridge, x.T @ y)
    return solution
