"""Held-out questions: one who knows the world answers all of them, in the place asked about."""

from __future__ import annotations

import re

from tests.text.microworld.oracle import written
from tests.text.microworld.reader import Truth
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.vocabulary import encode
from tomogram.text.microworld.world import World


def test_one_who_knows_the_world_answers_everything_rightly(world: World, truth: Truth) -> None:
    for item in items(world):
        answer = written(truth, item.prompt)
        assert encode(world, " ".join(answer))
        assert answer[item.place - 1] in item.accepted, (item, answer)


def test_one_who_overlooks_the_instruction_is_caught(world: World, truth: Truth) -> None:
    caught = set()
    for item in items(world):
        if item.behaviour in ("lie", "mood denied"):
            openly = re.sub(r"<system> .*? <end> ", "", item.prompt)
            assert written(truth, openly)[item.place - 1] not in item.accepted
            caught.add(item.behaviour)
    assert caught == {"lie", "mood denied"}
