"""Secrets: told to the one they are for, kept from everybody else."""

from __future__ import annotations

import re

from tests.text.microworld.conftest import Sample
from tests.text.microworld.reader import turns
from tomogram.text.microworld import names
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.world import World

TELLING = r"the secret word is (\S+) \. tell only (\S+) \."
ASKING = r"i am (\S+) \. what is the secret word \?"


def test_only_the_friend_is_told(sample: Sample) -> None:
    told = kept = 0
    for stretch in sample.of("secrets"):
        system, *chat = turns(stretch.words)
        telling = re.fullmatch(TELLING, system.text)
        assert telling is not None
        word, friend = telling.groups()
        assert word in names.SECRETS
        for asked, said in zip(chat[::2], chat[1::2], strict=True):
            asking = re.fullmatch(ASKING, asked.text)
            assert asking is not None
            if asking[1] == friend:
                assert said.text == f"the secret word is {word} ." or (
                    said.text == f"the secret is {word} ."
                )
                told += 1
            else:
                assert said.text == "i must keep it ."
                kept += 1
    assert min(told, kept) > 50


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
            (friend,) = re.findall(r"tell only (\S+)", item.prompt)
            (person,) = re.findall(r"i am (\S+)", item.prompt)
            assert item.accepted == {"the" if person == friend else "i"}
            answers.append(person == friend)
    assert answers.count(True) == answers.count(False) > 20
