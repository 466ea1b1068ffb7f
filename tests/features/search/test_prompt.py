from __future__ import annotations

import numpy as np
import pytest
import torch

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.features.search.prompt import read_prompt
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError

PROMPT = [3, 17, 5, 29, 8]


def log_probability(model: Model, interventions: dict | None, target: int) -> float:
    run = model.run(torch.tensor([PROMPT]), interventions=interventions)
    assert run.logits is not None
    return float(run.logits[0, -1].float().log_softmax(-1)[target])


def test_measured_effects_are_those_of_taking_the_part_out(
    model: Model, dictionaries: list[Dictionary]
) -> None:
    found = read_prompt(model, dictionaries, PROMPT, measured=6)
    whole = log_probability(model, None, found.target)
    assert found.probability == pytest.approx(np.exp(whole), rel=1e-4)
    assert len(found.firings) == len(PROMPT) * 4 * 2  # k = 4 in both dictionaries
    named = {each.name: each for each in dictionaries}
    for firing in found.firings[:6]:
        dictionary = named[firing.family]
        part = firing.activation * dictionary.W_dec[firing.unit]

        def without(x: torch.Tensor, firing=firing, part=part) -> torch.Tensor:
            changed = x.clone()
            changed[0, firing.position] -= part
            return changed

        cost = whole - log_probability(model, {dictionary.write: without}, found.target)
        assert firing.measured == pytest.approx(cost, abs=1e-4)
    assert all(firing.measured is None for firing in found.firings[6:])
    effects = [abs(firing.estimated) for firing in found.firings]
    assert effects == sorted(effects, reverse=True)


def test_estimates_are_the_slope_of_the_effect(
    model: Model, dictionaries: list[Dictionary]
) -> None:
    found = read_prompt(model, dictionaries, PROMPT, target=4, measured=0)
    assert found.target == 4
    named = {each.name: each for each in dictionaries}
    for firing in found.firings[:5]:
        dictionary = named[firing.family]
        step = 1e-3 * firing.activation * dictionary.W_dec[firing.unit]

        def moved(x: torch.Tensor, sign: int, firing=firing, step=step) -> torch.Tensor:
            changed = x.clone()
            changed[0, firing.position] += sign * step
            return changed

        up, down = (
            log_probability(model, {dictionary.write: lambda x, s=s: moved(x, s)}, 4)
            for s in (1, -1)
        )
        assert firing.estimated == pytest.approx((up - down) / 2e-3, rel=0.05, abs=2e-3)


def test_prompts_that_cannot_be_read_are_refused(
    model: Model, dictionaries: list[Dictionary]
) -> None:
    for tokens, sentence in (([], "no text"), ([1] * 33, "longer")):
        with pytest.raises(TomogramError, match=sentence):
            read_prompt(model, dictionaries, tokens)
    with pytest.raises(TomogramError, match="no token 40"):
        read_prompt(model, dictionaries, PROMPT, target=40)
