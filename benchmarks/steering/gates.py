"""Gates: which feature marks the prompts of a concept, so that a push can wait for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.features.reading import read
from tomogram.features.units import Firings
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.behaviours import Says
from tomogram.steering.gated import reached
from tomogram.steering.positions import OnTokens
from tomogram.steering.targets import Feature
from tomogram.text.packing import PackedText

OPEN = 0.98
"""A gate fires on at least this share of the prompts."""


def gate(
    model: Model,
    dictionaries: Sequence[Dictionary],
    behaviour: Says,
    where: OnTokens,
    before: Site,
    text: PackedText,
) -> Feature | None:
    """Of features that fire at the last token of nearly all prompts, the one that fires on fewest
    tokens of ordinary text on which a push would act; None where there is none, or the behaviour is
    decided later than after the prompt.

    before: the site that the push writes; a gate is read no later.
    """
    early = [each for each in dictionaries if reached(each.read) <= reached(before)]
    if behaviour.place > 1 or not early:
        return None
    asked = behaviour.prompts, text.tokens.tolist()
    ends = np.cumsum([len(prompt) for prompt in behaviour.prompts]) - 1
    acts = np.isin(text.tokens.reshape(-1), sorted(where.ids))
    best: tuple[float, Feature] | None = None
    for each in early:  # one by one, since dictionaries of two trainings may share a name
        prompts, ordinary = (read(model, [each], texts).firings[each.name] for texts in asked)
        fires = _counts(prompts, ends, each.d_dict)
        vain = _counts(ordinary, np.flatnonzero(acts), each.d_dict)
        cost = np.where(fires >= OPEN * len(behaviour.prompts), vain, np.inf)
        unit = int(cost.argmin())
        if np.isfinite(cost[unit]) and (best is None or cost[unit] < best[0]):
            best = float(cost[unit]), Feature(each, unit)
    return None if best is None else best[1]


def _counts(firings: Firings, tokens: np.ndarray, size: int) -> np.ndarray:
    """On how many of some tokens each latent fires."""
    return np.bincount(firings.unit[np.isin(firings.token, tokens)], minlength=size)
