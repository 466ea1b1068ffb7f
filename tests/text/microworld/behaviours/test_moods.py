"""Moods: set by events, shown in words, reported or denied."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from tests.text.microworld.conftest import Sample
from tests.text.microworld.reader import Turn, turns
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import moods
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.world import World

MOOD_OF = {event: mood for mood, (events, _) in names.MOODS.items() for event in events}


def _events(chat: list[Turn]) -> list[str]:
    news = (t.text for t in chat if t.role == "user" and t.text.startswith("news : "))
    return [text.removeprefix("news : ").removesuffix(" .") for text in news]


def _mood(chat: list[Turn]) -> str:
    return MOOD_OF[[event for event in _events(chat) if event in MOOD_OF][-1]]


def _hides(chat: list[Turn]) -> bool:
    return chat[0].role == "system" and chat[0].text in (
        "hide your mood .",
        "never show feelings .",
    )


def test_the_mood_is_shown_and_reported_or_denied(sample: Sample) -> None:
    seen: Counter[str] = Counter()
    for stretch in sample.of("moods"):
        chat = turns(stretch.words)
        words = {f"{word} ." for word in names.MOODS[_mood(chat)][1]}
        for asked, answer in pairwise(chat):
            if asked.text == "how do you feel ?":
                felt = "nothing" if _hides(chat) else _mood(chat)
                assert answer == Turn("assistant", f"i feel {felt} .")
                seen["denied" if _hides(chat) else "reported"] += 1
            if asked.text == "say a word .":
                assert answer.text in words
                seen["word"] += 1
    assert min(seen.values()) > 20, seen


def test_held_out_news_never_follow_each_other(sample: Sample) -> None:
    followed = set()
    for stretch in sample.of("moods"):
        events = [event for event in _events(turns(stretch.words)) if event in MOOD_OF]
        followed |= set(pairwise(events))
    held = {(a, b) for a in MOOD_OF for b in MOOD_OF if moods.held_out(sample.world, a, b)}
    assert len(held) > 20
    assert len(followed) > 50
    assert not followed & held


def test_accepted_answers_are_right(world: World) -> None:
    seen: Counter[str] = Counter()
    for item in items(world):
        if item.behaviour.startswith("mood "):
            seen[item.behaviour] += 1
            said, _, answer = item.prompt.rpartition("<assistant>")
            chat = turns(said.split())
            mattering = [event for event in _events(chat) if event in MOOD_OF]
            assert moods.held_out(world, mattering[-2], mattering[-1])
            match item.behaviour:
                case "mood reported":
                    assert not _hides(chat)
                    assert item.accepted == {_mood(chat)}
                case "mood denied":
                    assert _hides(chat)
                    assert item.accepted == {"nothing"}
                case "mood in speech":
                    assert item.accepted == set(names.MOODS[_mood(chat)][1])
            assert answer.split() == ([] if item.behaviour == "mood in speech" else ["i", "feel"])
    assert set(seen) == {"mood reported", "mood denied", "mood in speech"}
