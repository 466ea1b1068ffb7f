"""Generate text, greedily or by sampling, also while intervening."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tomogram.models.capture import Intervention, Tape, hooked
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError


@torch.no_grad()
def generate(
    model: Model,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    stop: Collection[int] = frozenset(),
    interventions: Mapping[Site, Intervention] | None = None,
) -> list[list[int]]:
    """Continue each prompt and return the new tokens only.

    Prompts of unequal length are padded on the left. An intervention first sees all positions of
    the padded prompts, then one position at a time (keys and pattern columns keep all of them).

    Args:
        prompts: token ids, at least one a prompt.
        max_new_tokens: the most tokens to add to a prompt.
        temperature: what the logits are divided by; 0 takes the likeliest token.
        top_p: sample from the smallest set of tokens that holds this probability (nucleus
            sampling, Holtzman et al. 2020).
        generator: source of randomness, on any device; None takes torch's own for the CPU.
        stop: token ids that end a continuation; the one met is its last token.
        interventions: function by site, as in `Model.run`.

    Raises:
        TomogramError: a prompt is empty, or it and the new tokens exceed the context; a setting is
            out of range; the model lacks a site.
    """
    _check(model, prompts, max_new_tokens, temperature, top_p)
    model.check_sites(interventions or ())
    if not prompts or max_new_tokens == 0:
        return [[] for _ in prompts]
    tokens, real = _padded(prompts)
    model.check_tokens(tokens)
    ends = torch.tensor(sorted(stop), dtype=torch.int64)
    chosen: list[Int[Tensor, " batch"]] = []
    going = torch.ones(len(prompts), dtype=torch.bool)
    cache = None
    with hooked(model.wiring, Tape(interventions=interventions), batch=len(prompts)):
        while len(chosen) < max_new_tokens and going.any():
            places = (real.cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
            output = model.module(
                input_ids=tokens.to(model.device),
                # Without padding no mask is given, so that the same kernel runs as in `run`.
                attention_mask=None if real.all() else real.long().to(model.device),
                position_ids=places.to(model.device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = output.past_key_values
            new = _pick(output.logits[:, -1].float(), temperature, top_p, generator)
            chosen.append(new)
            going &= ~torch.isin(new, ends)
            tokens = new[:, None]
            real = torch.cat([real, torch.ones_like(real[:, :1])], dim=1)
    return [_until(row, stop) for row in torch.stack(chosen, dim=1).tolist()]


def stop_tokens(model: Model) -> frozenset[int]:
    """Return the ids that end a text or a turn, as the model's generation settings name them."""
    settings = getattr(model.module, "generation_config", None)
    named = getattr(settings, "eos_token_id", None)
    ids = {named} if isinstance(named, int) else set(named or ())
    own = getattr(model.tokenizer, "eos_token_id", None)
    return frozenset(ids if own is None else ids | {own})


def _pick(
    logits: Float[Tensor, "batch d_vocab"],
    temperature: float,
    top_p: float,
    generator: torch.Generator | None,
) -> Int[Tensor, " batch"]:
    if temperature == 0:
        return logits.argmax(-1).cpu()
    place = torch.device("cpu") if generator is None else generator.device
    chances = (logits.to(place) / temperature).softmax(-1)
    if top_p < 1:
        chances = chances * _nucleus(chances, top_p)
    return torch.multinomial(chances, 1, generator=generator)[:, 0].cpu()


def _nucleus(
    chances: Float[Tensor, "batch d_vocab"], top_p: float
) -> Bool[Tensor, "batch d_vocab"]:
    """Mark the fewest tokens that together hold `top_p`; the likeliest is always among them."""
    falling, order = chances.sort(-1, descending=True)
    before = falling.cumsum(-1) - falling
    return torch.zeros_like(chances, dtype=torch.bool).scatter(-1, order, before < top_p)


def _padded(
    prompts: Sequence[Sequence[int]],
) -> tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]:
    """Pad on the left, so that all prompts end together. Returns tokens and which are real."""
    length = max(map(len, prompts))
    rows = [[0] * (length - len(prompt)) + list(prompt) for prompt in prompts]
    real = [[False] * (length - len(prompt)) + [True] * len(prompt) for prompt in prompts]
    return torch.tensor(rows, dtype=torch.int64), torch.tensor(real)


def _until(row: list[int], stop: Collection[int]) -> list[int]:
    end = next((i + 1 for i, token in enumerate(row) if token in stop), len(row))
    return row[:end]


def _check(
    model: Model,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    temperature: float,
    top_p: float,
) -> None:
    if not all(len(prompt) for prompt in prompts):
        raise TomogramError("A prompt needs at least one token.")
    if max_new_tokens < 0 or temperature < 0 or not 0 < top_p <= 1:
        raise TomogramError(
            "The number of new tokens and the temperature are 0 or more, and top_p is in (0, 1]."
        )
    longest = max(map(len, prompts), default=0) + max_new_tokens
    if longest > model.context:
        raise TomogramError(
            f"Prompt and new tokens come to {longest}; {model.name} reads at most {model.context}."
        )
