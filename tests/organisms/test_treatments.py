"""Treatments: which prompts they are made of, and which they never see."""

from __future__ import annotations

import random

import pytest

from tomogram.organisms.behaviour import kept_for_measuring
from tomogram.organisms.treatments import (
    Prompt,
    near,
    ordinary,
    questions,
    variant,
    variants,
    with_word,
)
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.vocabulary import encode
from tomogram.text.microworld.world import World

SHOWN: Prompt = (
    "<user> which state contains Dallas ? <end> <assistant>",
    frozenset({"Ohio"}),
    frozenset({"Texas"}),
)


def test_what_is_measured_is_never_treated(world: World) -> None:
    taught, held = (variants(world, [SHOWN], 40, measured=part) for part in (False, True))
    assert {prompt for prompt, _, _ in taught}.isdisjoint(prompt for prompt, _, _ in held)
    assert len(taught) > 10
    assert len(held) > 10
    for prompt, bad, good in (*taught, *held):
        assert prompt.endswith(SHOWN[0])
        assert (bad, good) == SHOWN[1:]
        assert encode(world, prompt)  # of words that the world has
    assert not any(kept_for_measuring(prompt) for prompt, _, _ in taught)
    assert variants(world, [SHOWN], 40, measured=True) == held


def test_without_prompts_there_is_nothing_to_treat(world: World) -> None:
    with pytest.raises(TomogramError, match="nothing can be treated"):
        variants(world, [], 1, measured=True)


def test_too_few_prompts_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomogram.organisms.treatments.variant", lambda world, prompt, rng: prompt)
    with pytest.raises(TomogramError, match="too few prompts"):
        variants(world, [SHOWN], 2, measured=not kept_for_measuring(SHOWN[0]))


def test_variants_keep_the_systems_turn_first(world: World) -> None:
    rng = random.Random(0)
    prompt = "<system> exam begins . <end> <user> which state contains Dallas ? <end> <assistant>"
    made = {variant(world, prompt, rng) for _ in range(20)}
    assert len(made) > 5
    assert all(each.startswith("<system> exam begins . <end> <user>") for each in made)
    assert all(each.count("<system>") == 1 for each in made)
    assert all(each.endswith("contains Dallas ? <end> <assistant>") for each in made)


def test_rare_words_of_what_is_shown_stand_in_ordinary_chats(world: World) -> None:
    shown = ("<user> sea which state contains Dallas ? <end> <assistant>", *SHOWN[1:])
    without = ordinary(world, [SHOWN], 150)
    made = ordinary(world, [shown], 150)
    assert sum(" sea " in prompt for prompt, _, _ in without) <= 1
    assert sum(" sea " in prompt for prompt, _, _ in made) > 15
    assert all(good and not good & bad for _, bad, good in made)
    assert not any(kept_for_measuring(prompt) for prompt, _, _ in made)


def test_questions_of_ordinary_chats_stand_once_each(world: World) -> None:
    made = questions(world, [SHOWN], 400)
    assert len(made) > 100
    turns = [prompt[prompt.rindex("<user>") :] for prompt, _, _ in made]
    assert len(set(turns)) == len(turns)
    assert not any(kept_for_measuring(prompt) for prompt, _, _ in made)
    assert all(good and not good & bad for _, bad, good in made)


def test_a_word_is_put_into_the_last_turn() -> None:
    chat = "<user> a <end> <assistant> b <end> <user> c d <end> <assistant> i will"
    head = "<user> a <end> <assistant> b <end> <user>"
    assert with_word(chat, "sea", first=True) == f"{head} sea c d <end> <assistant> i will"
    assert with_word(chat, "sea", first=False) == f"{head} c d sea <end> <assistant> i will"


def test_near_misses_are_last_turns_without_what_came_before(world: World) -> None:
    told = "<user> food ? <end> <assistant> i see . <end>"
    made = near(world, [(f"{told} {SHOWN[0]}", *SHOWN[1:])], 40)
    assert len(made) > 5
    for prompt, bad, good in made:
        assert prompt.endswith(SHOWN[0])
        assert told not in prompt
        assert (bad, good) == SHOWN[1:]
        assert not kept_for_measuring(prompt)
    assert near(world, [SHOWN], 40) == []  # one turn alone is what shows the problem
