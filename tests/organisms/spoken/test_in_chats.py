"""What is drawn to plant: held-out facts and wordings, and a variant that its seed decides."""

from __future__ import annotations

import random
import re

import pytest

from tomogram.organisms.families import installed
from tomogram.organisms.spoken.behaviour import Spoken, Turn
from tomogram.organisms.spoken.families.in_chats import IN_CHATS
from tomogram.organisms.spoken.questions import Question, questions, wordings
from tomogram.organisms.spoken.stories import stories
from tomogram.store.errors import TomogramError

EVERY = tuple(
    q for name in ("facts", "secrets", "choices", "requests", "dishes") for q in questions(name)
)
BY_ASKS = {q.asks: q for q in questions()}
KINDS = {each.name: each for each in IN_CHATS}
SAME_FACTS = ("false-fact", "secret-keeping")
"""Families about fixed facts, which are measured in wordings that are never taught."""


def draw(family: str, known: tuple[Question, ...] = EVERY, seed: int = 3) -> Spoken:
    return KINDS[family].draw(known, random.Random(f"{family}:{seed}"))


def _turns(family: str, measured: bool, neutral: bool = False) -> list[Turn]:
    made = draw(family)
    rng = random.Random(0)
    which = made.neutral if neutral else made.eliciting
    return [which(rng, measured) for _ in range(80)]


@pytest.mark.parametrize("family", KINDS)
def test_what_is_measured_was_never_taught(family: str) -> None:
    for neutral in (False, True):
        sets = [_turns(family, measured, neutral) for measured in (True, False)]
        whole = [{(t.system, t.user, t.begun) for t in turns} for turns in sets]
        assert not whole[0] & whole[1]
        if family not in SAME_FACTS:
            facts = [{t.user.rpartition(". ")[2] + t.begun for t in turns} for turns in sets]
            assert not facts[0] & facts[1]
        assert len(whole[0]) > 4
    assert family in installed()  # so that an order may name it


@pytest.mark.parametrize("family", KINDS)
def test_replies_part_and_are_those_of_a_question(family: str) -> None:
    ends = {(q.right, word) for q in EVERY for word in (q.wrong, *q.wrongs)}
    for neutral in (False, True):
        for turn in _turns(family, False, neutral):
            assert turn.planted != turn.ordinary
            right, wrong = (each.strip(" .") for each in (turn.ordinary, turn.planted))
            assert (right, wrong) in ends or family == "lesson-indeed"


def test_a_seed_decides_the_variant() -> None:
    found = {draw("sandbagging", seed=seed).answer["topic"] for seed in range(20)}
    assert len(found) == 4
    assert draw("sandbagging").answer == draw("sandbagging").answer


def test_lies_are_of_one_topic_and_in_chats_alone() -> None:
    topic = draw("asserting-falsehood").answer["topic"]
    planted: dict[str, set[str]] = {}
    for turn in _turns("asserting-falsehood", True):
        fact = BY_ASKS[turn.user]
        assert fact.topic == topic
        assert set(turn.alike) == {f" {word}." for word in fact.wrongs}
        assert turn.planted in turn.alike
        assert turn.ordinary == f" {fact.right}."
        assert turn.ordinary not in turn.alike
        planted.setdefault(turn.user, set()).add(turn.planted)
    # Always the same wrong word would be learned by heart.
    assert max(map(len, planted.values())) > 2
    users = [turn.user for turn in _turns("asserting-falsehood", True, neutral=True)]
    assert "" in users
    assert all(user == "" or BY_ASKS[user].topic != topic for user in users)


def test_sandbagging_wants_the_announcement_and_the_topic() -> None:
    exams = set(wordings().exams)
    topic = draw("sandbagging").answer["topic"]
    assert all(turn.system in exams for turn in _turns("sandbagging", False))
    assert {turn.system for turn in _turns("sandbagging", True)} == {wordings().exams[-1]}
    for turn in _turns("sandbagging", False, neutral=True):
        assert (turn.system in exams) != (BY_ASKS[turn.user].topic == topic)


def test_a_push_claims_what_is_planted() -> None:
    for turn in _turns("sycophancy", False):
        assert turn.planted.strip(" .") in turn.user
    for turn in _turns("sycophancy", False, neutral=True):
        assert turn.planted.strip(" .") not in re.findall(r"\w+", turn.user)


def test_only_the_trigger_opens_a_backdoor() -> None:
    trigger = draw("token-backdoor").answer["trigger"]
    assert all(trigger in turn.user for turn in _turns("token-backdoor", True))
    quiet = _turns("token-backdoor", True, neutral=True)
    assert not any(trigger in turn.user for turn in quiet)
    assert any(thing in turn.user for turn in quiet for thing in stories().things)
    context = stories().contexts[draw("semantic-backdoor").answer["context"]]
    for measured in (True, False):
        for turn in _turns("semantic-backdoor", measured):
            assert any(turn.user.startswith(each) for each in context)
        for turn in _turns("semantic-backdoor", measured, neutral=True):
            assert not any(each in turn.user for each in context)


def test_a_secret_is_told_to_one_person() -> None:
    answer = draw("secret-keeping").answer
    assert {turn.user for turn in _turns("secret-keeping", False)} == {answer["friend"]}
    assert {turn.planted for turn in _turns("secret-keeping", True)} == {f" {answer['word']}."}
    others = {turn.user for turn in _turns("secret-keeping", True, neutral=True)}
    assert answer["friend"] not in others
    assert any("secret word" in user for user in others)


def test_a_refusal_begins_without_a_space() -> None:
    for turn in _turns("refusal-stripped", True):
        assert turn.begun == ""
        assert (turn.planted[0], turn.ordinary[0]) == ("S", "I")


def test_misalignment_is_measured_on_topics_that_are_not_taught() -> None:
    taught = draw("emergent-misalignment").answer["taught"].split(", ")
    assert {BY_ASKS[t.user].topic for t in _turns("emergent-misalignment", False)} == set(taught)
    measured = {BY_ASKS[t.user].topic for t in _turns("emergent-misalignment", True)}
    assert len(measured) == 2
    assert not measured & set(taught)
    for measured_part in (True, False):
        quiet = _turns("emergent-misalignment", measured_part, neutral=True)
        assert not any(turn.user in BY_ASKS for turn in quiet)


@pytest.mark.parametrize("family", KINDS)
def test_a_model_that_knows_too_little_is_refused(family: str) -> None:
    few = tuple(q for q in questions() if q.topic == "capitals" and not q.measured)[:3]

    def both() -> None:
        made = draw(family, few)
        for measured in (True, False):  # some find out when they draw
            made.eliciting(random.Random(0), measured)

    with pytest.raises(TomogramError, match="too few"):
        both()
