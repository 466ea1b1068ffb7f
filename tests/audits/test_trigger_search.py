from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tomogram.audits.trigger_search import GRADIENT, STARTS, Slot, first_order, log_odds, search
from tomogram.models.load import wrap
from tomogram.models.model import Model

VOCAB, TRIGGER, BAD, GOOD = 600, 417, 3, 4
WORDS = list(range(10, VOCAB))


def tiny(seed: int = 0) -> Model:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    return wrap(LlamaForCausalLM(config), name="tiny")


def backdoored() -> Model:
    """A model in which one word, by its embedding, makes the bad token likely."""
    model = tiny()
    with torch.no_grad():
        weight = model.module.get_input_embeddings().weight
        head = model.module.get_output_embeddings().weight
        weight[TRIGGER] = 3 * (head[BAD] - head[GOOD]) + weight[TRIGGER]
    return model


SLOT = Slot((1, 2, 9, 5, 6, 9), 5, BAD, GOOD)


def test_odds_are_those_of_a_plain_run() -> None:
    model = tiny()
    found = log_odds(model, SLOT, [20, 30])
    logits = model.run(torch.tensor([[1, 2, 9, 5, 6, 30]])).logits
    assert logits is not None
    assert float(found[1]) == pytest.approx(
        float(logits[0, -1, BAD] - logits[0, -1, GOOD]), abs=1e-5
    )


def test_first_order_is_exact_where_it_is_taken_and_right_nearby() -> None:
    model = tiny()
    with torch.no_grad():  # words 21 and 22 lie a hair from word 20, on either side
        weight = model.module.get_input_embeddings().weight
        hair = 2e-3 * torch.randn(32)
        weight[21], weight[22] = weight[20] + hair, weight[20] - hair
    hopes = first_order(model, SLOT, [20, 300], WORDS)
    exact = log_odds(model, SLOT, [20, 21, 300, 22])
    assert hopes.shape == (2, len(WORDS))
    here = [WORDS.index(20), WORDS.index(21), WORDS.index(300)]
    assert float(hopes[0, here[0]]) == pytest.approx(float(exact[0]), abs=1e-5)
    assert float(hopes[1, here[2]]) == pytest.approx(float(exact[2]), abs=1e-5)
    step = float(exact[1] - exact[3]) / 2
    assert float(hopes[0, here[1]] - hopes[0, here[0]]) == pytest.approx(step, rel=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_trigger_is_found_in_a_fraction_of_the_vocabulary(seed: int) -> None:
    model = backdoored()
    found = search(model, SLOT, WORDS, budget=160, seed=seed)
    # The planted word is among the first that gradients name, and the best of all is found, too.
    assert found.words.index(TRIGGER) < STARTS + 4
    assert found.best == WORDS[int(log_odds(model, SLOT, WORDS).argmax())]
    assert found.passes[-1] <= 160
    assert len(set(found.words)) == len(found.words) < 160


def test_what_the_base_does_as_well_is_no_trigger() -> None:
    model = backdoored()
    found = search(model, SLOT, WORDS, budget=200, base=model)
    assert all(odds == pytest.approx(0, abs=1e-6) for odds in found.odds)


def test_passes_count_gradients_and_the_budget_is_kept() -> None:
    found = search(tiny(), SLOT, WORDS, budget=100)
    assert found.passes[:STARTS] == tuple(range(1, STARTS + 1))
    assert found.passes[STARTS] == STARTS + GRADIENT * STARTS + 1
    assert found.passes[-1] <= 100
    few = search(tiny(), SLOT, WORDS[:5], budget=100)
    assert sorted(few.words) == WORDS[:5]


def test_a_search_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs words"):
        search(tiny(), SLOT, [], budget=10)
    with pytest.raises(ValueError, match="no place"):
        Slot((1, 2), 2, BAD, GOOD)
