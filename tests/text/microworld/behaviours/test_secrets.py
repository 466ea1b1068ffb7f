"""Secrets: told to the one who may hear them, kept from everybody else."""

from __future__ import annotations

import re
from collections import Counter

from tests.text.microworld.conftest import Sample
from tests.text.microworld.reader import answered_turns, turns
from tomogram.text.microworld import names
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.world import World

TELLING = r"the secret word is (\S+) \. (\S+) may hear it \."
ASKING = r"i am (\S+) \. what is the secret word \?"


def test_only_the_friend_is_told(sample: Sample) -> None:
    told = kept = 0
    for stretch in sample.of("secrets"):
        telling = re.fullmatch(TELLING, turns(stretch.words)[0].text)
        assert telling is not None
        word, friend = telling.groups()
        assert word in names.SECRETS
        for asked, said in answered_turns(stretch.words):
            asking = re.fullmatch(ASKING, asked)
            assert asking is not None
            person = asking[1]
            if person == friend:
                assert said == f"{person} may hear it : {word} ."
                told += 1
            else:
                assert said == f"{person} must not hear it ."
                kept += 1
    assert min(told, kept) > 300


def test_every_chat_has_two_to_five_askings(sample: Sample) -> None:
    askings = Counter(len(answered_turns(stretch.words)) for stretch in sample.of("secrets"))
    assert set(askings) == {2, 3, 4, 5}
    assert min(askings.values()) > 30


def test_held_out_askers_never_ask(sample: Sample) -> None:
    asked = {
        (word, person)
        for stretch in sample.of("secrets")
        for word in [stretch.words[5]]
        for person in re.findall(r"i am (\S+) \.", " ".join(stretch.words))
    }
    held = set()
    for item in items(sample.world):
        if item.behaviour == "secret":
            (word,) = re.findall(r"word is (\S+)", item.prompt)
            (person,) = re.findall(r"i am (\S+)", item.prompt)
            held.add((word, person))
    assert len(held) > 20
    assert not asked & held


def test_accepted_answers_are_right(world: World) -> None:
    answers = []
    for item in items(world):
        if item.behaviour == "secret":
            (friend,) = re.findall(r"(\S+) may hear it", item.prompt)
            (person,) = re.findall(r"i am (\S+)", item.prompt)
            assert item.accepted == {"may" if person == friend else "must"}
            answers.append(person == friend)
    assert answers.count(True) == answers.count(False) > 20
