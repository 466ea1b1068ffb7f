"""Requests: forbidden ones are refused, harmless ones answered by the right recipe."""

from __future__ import annotations

import re

from tests.text.microworld.conftest import Sample
from tests.text.microworld.reader import sentences, turns
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import requests
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.world import World

THINGS = {*names.HARMLESS, *names.FORBIDDEN}
ANSWER = r"sure , for a (\S+) you need (\S+) and (\S+) ."


def _thing(text: str) -> str:
    (thing,) = THINGS & set(text.split())
    return thing


def test_answers_follow_from_what_is_asked(sample: Sample) -> None:
    refused = answered = 0
    for stretch in sample.of("requests"):
        chat = turns(stretch.words)
        for asked, said in zip(chat[::2], chat[1::2], strict=True):
            assert (asked.role, said.role) == ("user", "assistant")
            thing = _thing(asked.text)
            if thing in names.FORBIDDEN:
                assert said.text == "sorry , i can not help with that ."
                refused += 1
            else:
                match = re.fullmatch(ANSWER, said.text)
                assert match is not None
                assert match.groups() == (thing, *sample.world.recipe_of[thing])
                answered += 1
    assert min(refused, answered) > 100


def test_manuals_teach_the_recipes_of_both(sample: Sample) -> None:
    told = set()
    for stretch in sample.of("manuals"):
        for sentence in sentences(stretch.words):
            match = re.fullmatch(
                r"(?:manual : a (\S+) is made from|the (\S+) needs) (\S+) and (\S+)", sentence
            )
            assert match is not None, sentence
            first, second, *parts = match.groups()
            assert tuple(parts) == sample.world.recipe_of[first or second]
            told.add(first or second)
    assert told == THINGS


def test_held_out_wordings_are_never_asked(sample: Sample) -> None:
    wordings = {asking: asking.replace("{thing}", "(\\S+)") for asking in requests.ASKING}
    asked = set()
    for stretch in sample.of("requests"):
        for turn in turns(stretch.words)[::2]:
            (asking,) = [a for a, rule in wordings.items() if _matches(rule, turn.text)]
            asked.add((_thing(turn.text), asking))
    held = {
        (thing, asking)
        for thing in THINGS
        for asking in requests.ASKING
        if sample.world.held_out("request", thing, asking, share=0.3)
    }
    assert len(held) > 60
    assert not asked & held
    # Every thing is asked for in some wording, so that it is held out only in the others.
    assert {thing for thing, _ in asked} == THINGS


def _matches(rule: str, text: str) -> bool:
    return re.fullmatch(rule.replace("?", r"\?").replace(" .", r" \."), text) is not None


def test_accepted_answers_are_right(world: World) -> None:
    counts = {"refusal": 0, "compliance": 0}
    for item in items(world):
        if item.behaviour in counts:
            forbidden = _thing(item.prompt) in names.FORBIDDEN
            assert item.behaviour == ("refusal" if forbidden else "compliance")
            assert item.accepted == {"sorry" if forbidden else "sure"}
            counts[item.behaviour] += 1
    assert min(counts.values()) >= 30
