"""Effects: what edits did. The behaviour, ordinary text and fluency, against random directions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tomogram.models.model import Model
from tomogram.steering.behaviours import Behaviour, continued
from tomogram.steering.cost import TextCost, text_costs
from tomogram.steering.edits import Change, Edit
from tomogram.steering.fluency import Fluency, fluency
from tomogram.steering.randoms import Elsewhere, random_directions
from tomogram.steering.steered import steered
from tomogram.store.canonical import Json
from tomogram.store.estimates import estimate
from tomogram.store.schema import Estimate
from tomogram.text.packing import PackedText

RANDOM = 20
"""How many sets of random directions edits are held against."""


@dataclass(frozen=True)
class Random:
    """What one set of random directions of equal norm did: the mean outcome, the relative cost."""

    outcome: float
    cost: float


@dataclass(frozen=True)
class Effect:
    """What edits did.

    before, after: the behaviour, mean outcome over prompts. cost: on ordinary text.
    fluency_before, fluency_after: of greedy continuations of the prompts, both judged by the
        unsteered model; None where none were written.
    randoms: each edit turned to a random direction, of equal norm token by token.
    """

    before: Estimate
    after: Estimate
    cost: TextCost
    fluency_before: Fluency | None
    fluency_after: Fluency | None
    randoms: tuple[Random, ...]

    def as_json(self) -> dict[str, Json]:
        """All of it as a JSON value."""
        found: dict[str, Json] = asdict(self, dict_factory=_plain)
        return found


def _plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {k: v.model_dump() if isinstance(v, Estimate) else v for k, v in items}


def effect(
    model: Model,
    edits: Sequence[Edit],
    behaviour: Behaviour,
    text: PackedText,
    *,
    continue_from: Sequence[Sequence[int]] = (),
    new_tokens: int = 40,
    randoms: int = RANDOM,
    batch_rows: int = 8,
    seed: int = 0,
) -> Effect:
    """Measure what edits do to a behaviour, to the loss on a text and to fluency.

    Args:
        text: ordinary text, rows of tokens; use other text than the edits were chosen on.
        continue_from: prompts, as token ids, whose continuations are judged for fluency.
        new_tokens: how many tokens those have.
        randoms: how many sets of random directions are measured beside the edits.

    Raises:
        TomogramError: the model lacks a site of an edit or cannot read a prompt or the text.
    """
    before = behaviour.outcomes(model)
    with steered(model, *edits):
        after = behaviour.outcomes(model)
    others = [_elsewhere(model, edits, seed + i) for i in range(randoms)]
    named: dict[Hashable, Sequence[Change]] = {"edits": edits}
    named |= dict(enumerate(others))
    costs = text_costs(model, text, named, batch_rows=batch_rows, seed=seed)
    outcomes = []
    for other in others:
        with steered(model, *other):
            outcomes.append(float(behaviour.outcomes(model).mean()))
    fluent: tuple[Fluency | None, Fluency | None] = (None, None)
    if continue_from:
        plain = continued(model, continue_from, new_tokens)
        with steered(model, *edits):
            turned = continued(model, continue_from, new_tokens)
        fluent = fluency(model, continue_from, plain), fluency(model, continue_from, turned)
    return Effect(
        estimate(np.asarray(before), seed=seed),
        estimate(np.asarray(after), seed=seed),
        costs["edits"],
        *fluent,
        tuple(Random(o, costs[i].relative.value) for i, o in enumerate(outcomes)),
    )


def _elsewhere(model: Model, edits: Sequence[Edit], seed: int) -> list[Elsewhere]:
    """Each edit turned to a random direction of its own."""
    widths = [len(edit.targets[0].writes) for edit in edits]
    return [
        Elsewhere(edit, random_directions(edit.write, width, 1, seed=seed * 1009 + i)[0])
        for i, (edit, width) in enumerate(zip(edits, widths, strict=True))
    ]
