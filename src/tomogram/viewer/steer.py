"""Steer: the same prompt continued twice, as the model is and with one feature raised."""

from __future__ import annotations

from typing import Any

import torch

from tomogram.models.generate import generate, stop_tokens
from tomogram.report.tokens import visible
from tomogram.steering.edits import add
from tomogram.steering.steered import steered
from tomogram.steering.targets import Feature
from tomogram.store.errors import TomogramError
from tomogram.viewer.live import Live
from tomogram.viewer.prompt import encode

MOST_NEW = 120
MOST_STRENGTH = 20.0


def steer(
    live: Live,
    prompt: str,
    family: str,
    unit: int,
    *,
    strength: float,
    largest: float,
    new_tokens: int = 40,
    temperature: float = 0.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Continue a prompt as the model is and with a feature raised, from the same random numbers.

    Args:
        strength: in units of `largest`; negative lowers the feature.
        largest: the feature's largest activation in the scan.
        temperature: 0 takes the likeliest token.

    Raises:
        TomogramError: a setting is out of range, there is no such feature, or the prompt is empty
            or too long.
    """
    if not -MOST_STRENGTH <= strength <= MOST_STRENGTH:
        raise TomogramError(f"The strength is between −{MOST_STRENGTH:g} and {MOST_STRENGTH:g}.")
    if not 1 <= new_tokens <= MOST_NEW or not 0 <= temperature <= 2:
        raise TomogramError(f"At most {MOST_NEW} new tokens at a temperature of at most 2.")
    ids = encode(live.model, prompt, live.model.context - new_tokens)
    raised = add(Feature(live.dictionary(family), unit), strength * largest)
    stops = stop_tokens(live.model)
    texts = {}
    for name, edits in (("baseline", ()), ("steered", (raised,))):
        with steered(live.model, *edits):
            (new,) = generate(
                live.model,
                [ids],
                max_new_tokens=new_tokens,
                temperature=temperature,
                generator=torch.Generator().manual_seed(seed),
                stop=stops,
            )
        texts[name] = [visible(live.spelling[t]) for t in new if t not in stops]
    return texts
