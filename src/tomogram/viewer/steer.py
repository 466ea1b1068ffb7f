"""Steer: the same prompt continued twice, as the model is and with some features raised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tomogram.models.generate import generate, stop_tokens
from tomogram.pipeline.searching import Search
from tomogram.pipeline.steering import feature_named
from tomogram.report.tokens import visible
from tomogram.steering.edits import Edit, add
from tomogram.steering.fluency import distinct, losses
from tomogram.steering.steered import steered
from tomogram.store.errors import TomogramError
from tomogram.viewer.prompt import encode

MOST_NEW = 120
MOST_STRENGTH = 20.0
MOST_FEATURES = 8


@dataclass(frozen=True)
class Turn:
    """One feature and how far it is turned.

    strength: in units of its largest activation in the scan; negative lowers it.

    Raises:
        TomogramError: the strength is out of range.
    """

    family: str
    unit: int
    strength: float

    def __post_init__(self) -> None:
        if not -MOST_STRENGTH <= self.strength <= MOST_STRENGTH:
            raise TomogramError(
                f"The strength is between −{MOST_STRENGTH:g} and {MOST_STRENGTH:g}."
            )


def steer(
    search: Search,
    prompt: str,
    turns: Sequence[Turn],
    *,
    new_tokens: int = 40,
    temperature: float = 0.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Continue a prompt as the model is and with features raised, from the same random numbers.

    Gives both texts, token by token, and of each its loss in nats a token under the model as it is
    and its distinct-3 (`steering.fluency`).

    Args:
        temperature: 0 takes the likeliest token.

    Raises:
        TomogramError: a setting is out of range, there is no such feature, or the prompt is empty
            or too long.
    """
    if not 1 <= len(turns) <= MOST_FEATURES:
        raise TomogramError(f"Between one feature and {MOST_FEATURES} can be turned at once.")
    if not 1 <= new_tokens <= MOST_NEW or not 0 <= temperature <= 2:
        raise TomogramError(f"At most {MOST_NEW} new tokens at a temperature of at most 2.")
    model = search.model
    ids = encode(search, prompt, model.context - new_tokens)
    raised = [_edit(search, turn) for turn in turns]
    stops = stop_tokens(model)
    texts: dict[str, Any] = {"fluency": {}}
    for name, edits in (("baseline", []), ("steered", raised)):
        with steered(model, *edits):
            (new,) = generate(
                model,
                [ids],
                max_new_tokens=new_tokens,
                temperature=temperature,
                generator=torch.Generator().manual_seed(seed),
                stop=stops,
            )
        texts["fluency"][name] = {
            "loss": float(losses(model, [ids], [new])[0]),
            "distinct": distinct([new]),
        }
        texts[name] = [visible(search.tomogram.spelling[t]) for t in new if t not in stops]
    return texts


def _edit(search: Search, turn: Turn) -> Edit:
    largest = float(search.tomogram.features.unit(turn.family, turn.unit)["largest"])
    feature = feature_named(search.dictionaries, f"{turn.family}/{turn.unit}")
    return add(feature, turn.strength * largest)
