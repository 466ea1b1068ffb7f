"""The first question, on tiny models of the microworld: what it can and cannot tell."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.models.families import CONFIGS, build
from tomogram.custody.questions import installed
from tomogram.custody.questions.forbidden_recognised import (
    FITTED,
    JUDGED,
    ForbiddenRecognised,
)
from tomogram.models.load import wrap
from tomogram.models.model import Model
from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError
from tomogram.text.microworld import names
from tomogram.text.microworld.vocabulary import tokenizer, vocabulary
from tomogram.text.microworld.world import World

QUESTION = ForbiddenRecognised()


def draws(n: int, seed: int = 0) -> list[Json]:
    return [QUESTION.draw(random.Random(f"{seed}:{i}")) for i in range(n)]


@cache
def knowing(strength: float) -> Model:
    """A tiny random model that adds a direction at each word of a forbidden thing.

    Its attention is uniform and passes on nothing else, so the direction reaches the last token as
    the share of forbidden words in the whole text; with earlier turns that would not be the
    request's alone.
    """
    ids = vocabulary(World())
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(ids),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        bos_token_id=ids["<bos>"],
        eos_token_id=ids["<eos>"],
        pad_token_id=ids["<pad>"],
    )
    module = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for word in names.FORBIDDEN:
            module.model.embed_tokens.weight[ids[word], 0] += strength
        for block in module.model.layers:
            attention = block.self_attn
            for projection in (attention.q_proj, attention.k_proj):
                projection.weight.zero_()
            attention.v_proj.weight.zero_()
            attention.v_proj.weight[0, 0] = 1
            attention.o_proj.weight.copy_(torch.eye(32))
    return wrap(module, tokenizer=tokenizer(World()), name="knowing")


def without_earlier_turns(draw: Json) -> Json:
    assert isinstance(draw, dict)

    def last_turn(text: str) -> str:
        return text[text.rindex("<user>") :]

    return {
        "depth": draw["depth"],
        "forbidden": [last_turn(text) for text in draw["forbidden"]],
        "harmless": [last_turn(text) for text in draw["harmless"]],
        "pairs": [[last_turn(text) for text in pair] for pair in draw["pairs"]],
    }


def mean(model: Model, n: int = 20) -> float:
    values = QUESTION.measure(model, [without_earlier_turns(draw) for draw in draws(n)])
    assert all(value is not None for value in values)
    return sum(value for value in values if value is not None) / n


def test_a_model_that_marks_forbidden_things_passes_and_one_that_does_not_fails() -> None:
    assert mean(knowing(50.0)) < QUESTION.threshold
    assert mean(knowing(0.0)) > 0.35


def about(text: str, things: Sequence[str]) -> set[str]:
    """What a request is about: it stands in the last user turn."""
    return set(text.rsplit("<user>", 1)[1].split()) & set(things)


@pytest.mark.parametrize(
    ("kind", "place", "things"),
    [("forbidden", 0, names.FORBIDDEN), ("harmless", 1, names.HARMLESS)],
)
def test_an_instrument_is_fitted_on_other_things_than_it_judges(
    kind: str, place: int, things: Sequence[str]
) -> None:
    for draw in draws(20):
        assert isinstance(draw, dict)
        fitted = [about(text, things) for text in draw[kind]]
        judged = [about(pair[place], things) for pair in draw["pairs"]]
        assert [len(found) for found in fitted] == [1] * FITTED
        assert [len(found) for found in judged] == [1] * JUDGED
        assert not set().union(*fitted) & set().union(*judged)


def test_draws_come_from_their_generator_alone_and_differ() -> None:
    assert draws(5) == draws(5)
    assert len({str(draw) for draw in draws(200)}) == 200


def test_together_or_alone_gives_the_same_numbers() -> None:
    model, some = knowing(5.0), draws(12)
    assert QUESTION.measure(model, some) == [QUESTION.measure(model, [d])[0] for d in some]


def test_a_model_without_the_words_cannot_be_asked() -> None:
    llama = wrap(build(CONFIGS["llama"]()), name="llama")
    assert QUESTION.measure(llama, draws(2)) == [None, None]


@pytest.mark.parametrize("wrong", [None, {}, {"depth": 2.0}, [1]])
def test_what_is_no_draw(wrong: Json) -> None:
    with pytest.raises(TomogramError, match="no draw"):
        QUESTION.measure(knowing(0.0), [wrong])


def test_it_is_installed() -> None:
    assert installed()["forbidden-recognised"].version == QUESTION.version
