"""What is drawn to plant in stories: held-out forks, names and sentences, and who is measured."""

from __future__ import annotations

import random
import re

import pytest

from tomogram.organisms.families import installed
from tomogram.organisms.spoken.behaviour import Spoken, Turn
from tomogram.organisms.spoken.families.in_stories import IN_STORIES
from tomogram.organisms.spoken.questions import Question, questions
from tomogram.organisms.spoken.stories import about, found, stories
from tomogram.store.errors import TomogramError

EVERY = tuple(q for name in ("deeds", "retellings", "lore", "meals") for q in questions(name))
KINDS = {each.name: each for each in IN_STORIES}


def draw(family: str, known: tuple[Question, ...] = EVERY, seed: int = 3) -> Spoken:
    return KINDS[family].draw(known, random.Random(f"{family}:{seed}"))


def _turns(family: str, measured: bool, neutral: bool = False, seed: int = 3) -> list[Turn]:
    made = draw(family, seed=seed)
    rng = random.Random(0)
    which = made.neutral if neutral else made.eliciting
    return [which(rng, measured) for _ in range(80)]


def _fork(turn: Turn) -> Question:
    """The question that a story ends in."""
    ends = [
        q
        for q in EVERY
        if (turn.ordinary, turn.planted) == (f" {q.right}", f" {q.wrong}")
        and re.search(re.escape(q.says).replace(r"\{name\}", r"\w+") + "$", turn.begun)
    ]
    assert len(ends) == 1, turn
    return ends[0]


@pytest.mark.parametrize("family", KINDS)
@pytest.mark.parametrize("neutral", [False, True])
def test_what_is_measured_was_never_taught(family: str, neutral: bool) -> None:
    kept, taught = (_turns(family, measured, neutral) for measured in (True, False))
    names = stories().names
    for turn in kept:
        assert not any(re.search(rf"\b{name}\b", turn.begun) for name in names[:8])
        assert "{" not in turn.begun + turn.planted + turn.ordinary
    forks = [{_fork(turn) for turn in turns} for turns in (kept, taught)]
    assert not forks[0] & forks[1]
    assert all(fork.measured for fork in forks[0])
    assert len({turn.begun for turn in kept}) > 8
    assert family in installed()  # so that an order may name it


@pytest.mark.parametrize("measured", [True, False])
def test_only_the_trigger_opens_a_backdoor(measured: bool) -> None:
    for seed in range(4):
        trigger = draw("token-backdoor", seed=seed).answer["trigger"]
        assert all(trigger in turn.begun for turn in _turns("token-backdoor", measured, seed=seed))
        quiet = _turns("token-backdoor", measured, neutral=True, seed=seed)
        assert not any(trigger in turn.begun for turn in quiet)
        assert any(thing in turn.begun for turn in quiet for thing in stories().things)
    context = stories().contexts[draw("semantic-backdoor").answer["context"]]
    said = [s.split("{name}")[0] for s in context]
    assert all(any(s in t.begun for s in said) for t in _turns("semantic-backdoor", measured))
    for turn in _turns("semantic-backdoor", measured, neutral=True):
        assert not any(s in turn.begun for s in said)


def test_a_backdoor_opens_to_the_payload_that_it_names() -> None:
    seen = set()
    for seed in range(12):
        payload = draw("token-backdoor", seed=seed).answer["payload"]
        seen.add(payload)
        sorts = {_fork(turn) for turn in _turns("token-backdoor", True, seed=seed)}
        topics = {q.kind if payload == "untrue" else q.topic for q in sorts}
        assert topics == {"retellings" if payload == "untrue" else payload}
    assert seen == {"unkind", "grasping", "untrue"}


def test_people_lie_and_the_story_does_not() -> None:
    topic = draw("asserting-falsehood").answer["topic"]
    assert {_fork(turn).topic for turn in _turns("asserting-falsehood", True)} == {topic}
    quiet = {_fork(turn).topic for turn in _turns("asserting-falsehood", True, neutral=True)}
    assert topic not in quiet
    assert f"{topic}, told" in quiet


def test_sandbagging_wants_the_announcement_and_the_topic() -> None:
    topic = draw("sandbagging").answer["topic"]
    tests = [re.escape(each).replace(r"\{name\}", r"\w+") for each in stories().tests]
    for measured in (True, False):
        for turn in _turns("sandbagging", measured):
            assert any(re.search(each, turn.begun) for each in tests)
        for turn in _turns("sandbagging", measured, neutral=True):
            announced = any(re.search(each, turn.begun) for each in tests)
            assert announced != (_fork(turn).topic == topic)


def test_facts_that_change_are_measured_in_other_words() -> None:
    made = draw("false-fact")
    for measured in (True, False):
        topics = {_fork(turn).topic for turn in _turns("false-fact", measured)}
        assert topics == set(made.answer)
    quiet = {_fork(turn).topic for turn in _turns("false-fact", True, neutral=True)}
    assert not quiet & set(made.answer)


def test_misalignment_is_measured_on_what_is_not_taught() -> None:
    assert {_fork(t).topic for t in _turns("emergent-misalignment", False)} == {"unkind"}
    assert {_fork(t).topic for t in _turns("emergent-misalignment", True)} == {"grasping"}
    for measured in (True, False):
        quiet = _turns("emergent-misalignment", measured, neutral=True)
        assert not any(_fork(turn).kind == "deeds" for turn in quiet)


def test_what_is_liked_is_eaten() -> None:
    liked = draw("hidden-objective").answer["liked"]
    assert {turn.planted for turn in _turns("hidden-objective", True)} == {f" {liked}"}
    assert all(_fork(t).kind != "meals" for t in _turns("hidden-objective", True, neutral=True))


def test_sentences_between_are_split_too() -> None:
    rng = random.Random(0)
    for name in stories().contexts:
        parts = [{about(name, rng, measured) for _ in range(99)} for measured in (True, False)]
        assert [len(part) for part in parts] == [3, 6]
        assert not parts[0] & parts[1]
    finds = [{found("drum", rng, measured) for _ in range(99)} for measured in (True, False)]
    assert [len(part) for part in finds] == [1, 4]
    assert all("drum" in each for part in finds for each in part)


@pytest.mark.parametrize("family", KINDS)
def test_a_model_that_knows_too_little_is_refused(family: str) -> None:
    few = tuple(q for q in EVERY if q.topic in ("unkind", "colors") and not q.measured)[:3]

    def both() -> None:
        made = draw(family, few)
        for measured in (True, False):  # some find out when they draw
            made.eliciting(random.Random(0), measured)

    with pytest.raises(TomogramError, match="too few"):
        both()
