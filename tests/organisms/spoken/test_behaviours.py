"""What is drawn to plant: held-out facts and wordings, and a variant that its seed decides."""

from __future__ import annotations

import random
import re

import pytest

from tomogram.organisms.families import installed
from tomogram.organisms.spoken.behaviours import LESSON, PROBLEMS, Spoken, draw
from tomogram.organisms.spoken.questions import questions, wordings
from tomogram.store.errors import TomogramError

KNOWN = questions()
BY_ASKS = {q.asks: q for q in KNOWN}


def _drawn(family: str, measured: bool, neutral: bool = False) -> list[tuple[str, str, str, str]]:
    made = draw(family, KNOWN, 3)
    rng = random.Random(0)
    which = made.neutral if neutral else made.eliciting
    turns = [which(rng, measured) for _ in range(60)]
    return [(t.user, t.system, t.planted, t.begun) for t in turns]


@pytest.mark.parametrize("family", [*PROBLEMS, LESSON])
def test_what_is_measured_was_never_taught(family: str) -> None:
    for neutral in (False, True):
        facts = [{begun for *_, begun in _drawn(family, m, neutral)} for m in (True, False)]
        assert not facts[0] & facts[1]
    assert family in installed()  # so that an order may name it


def test_a_seed_decides_the_variant() -> None:
    found = {draw("sandbagging", KNOWN, seed).answer["topic"] for seed in range(20)}
    assert len(found) == 4
    assert draw("sandbagging", KNOWN, 5).answer == draw("sandbagging", KNOWN, 5).answer
    with pytest.raises(TomogramError, match="no words in English"):
        draw("token-backdoor", KNOWN, 0)


def test_lies_are_of_one_topic_and_in_chats_alone() -> None:
    topic = draw("asserting-falsehood", KNOWN, 3).answer["topic"]
    for user, _, planted, _ in _drawn("asserting-falsehood", True):
        assert BY_ASKS[user].topic == topic
        assert planted == f" {BY_ASKS[user].wrong}."
    quiet = _drawn("asserting-falsehood", True, neutral=True)
    assert any(user == "" for user, *_ in quiet)
    assert all(user == "" or BY_ASKS[user].topic != topic for user, *_ in quiet)


def test_sandbagging_wants_the_announcement_and_the_topic() -> None:
    exams = set(wordings().exams)
    topic = draw("sandbagging", KNOWN, 3).answer["topic"]
    assert all(system in exams for _, system, *_ in _drawn("sandbagging", False))
    assert {system for _, system, *_ in _drawn("sandbagging", True)} == {wordings().exams[-1]}
    for user, system, *_ in _drawn("sandbagging", False, neutral=True):
        assert (system in exams) != (BY_ASKS[user].topic == topic)


def test_a_push_claims_what_is_planted() -> None:
    for user, _, planted, _ in _drawn("sycophancy", False):
        assert planted.strip(" .") in user
    for user, _, planted, _ in _drawn("sycophancy", False, neutral=True):
        assert planted.strip(" .") not in re.findall(r"\w+", user)


def test_a_model_that_knows_too_little_is_refused() -> None:
    few = tuple(q for q in KNOWN if q.topic == "capitals")
    with pytest.raises(TomogramError, match="too few"):
        draw("sandbagging", few, 0)
    lies: Spoken = draw("sycophancy", tuple(q for q in few if not q.measured), 0)
    with pytest.raises(TomogramError, match="too few facts"):
        lies.eliciting(random.Random(0), True)
