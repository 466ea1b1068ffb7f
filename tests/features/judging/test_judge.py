from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tomogram.features.judging.judge import Judge, parsed
from tomogram.features.judging.scores import score
from tomogram.features.judging.trials import TASKS, Trial
from tomogram.models.chat import Message

SPELLING = [" the", " dog", " ran", " off"]


@dataclass
class Reader:
    """A judge that looks for the label's word: anywhere, or between the marks where there are
    marks."""

    name: str = "reader"
    parallel: int = 1

    def fits(self, messages: Sequence[Message], reply_tokens: int) -> bool:
        return True

    def ask(self, messages: Sequence[Message], reply_tokens: int) -> str:
        first, *lines = messages[0]["content"].splitlines()
        word = first.rsplit(" ", 1)[1]
        passages = [line for line in lines if re.match(r"\d+\. ", line)]
        marked = ["".join(re.findall("«(.*?)»", line)) or line for line in passages]
        return f"Sure: {[int(word in part) for part in marked]}"


def trial(tokens: tuple[int, ...], mark: int, fires: bool) -> Trial:
    return Trial(tokens, tuple(i == mark for i in range(len(tokens))), fires)


TRIALS = [
    trial((0, 1, 2), 1, True),
    trial((0, 2, 3), 0, False),
    trial((1, 3), 0, True),
    trial((3, 2, 0), 2, False),
    trial((0, 1), 1, True),
    trial((2, 3), 1, False),
    trial((1, 1), 0, True),
]


def test_a_judge_that_can_read_tells_them_apart() -> None:
    judge = Judge(Reader(), at_once=3)
    for task in TASKS:
        said = judge.judge("dog", TRIALS, task, SPELLING)
        assert said == [each.fires for each in TRIALS]
    assert judge.judge("ran", TRIALS, "fuzzing", SPELLING) == [False] * 7


def test_detection_shows_no_marks() -> None:
    judge = Judge(Reader())
    assert "« dog»" in judge.messages("x", TRIALS[:1], "fuzzing", SPELLING)[0]["content"]
    plain = judge.messages("x", TRIALS[:1], "detection", SPELLING)[0]["content"]
    assert "1.  the dog ran" in plain
    assert "«" not in plain


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("[1, 0]", [True, False]),
        ("I think [0,1] fits. [1, 1]", [False, True]),
        ("[1]", [None, None]),
        ("1 0", [None, None]),
        ("", [None, None]),
        ("[1, 2]", [None, None]),
        ("[" * 100_000, [None, None]),
    ],
)
def test_answers_are_read_or_counted_as_unread(answer: str, read: list) -> None:
    assert parsed(answer, 2) == read


def test_scores_by_hand() -> None:
    found = score([True, True, False, None], [True, True, True, False])
    assert found is not None
    assert found.accuracy.value == pytest.approx((2 / 3 + 0) / 2)
    assert found.unread == 1
    assert found.accuracy.low <= found.accuracy.value <= found.accuracy.high
    assert found.accuracy.n == 4
    assert score([], []) is None
    assert score([True], [True]) is None


def test_intervals_cover_the_truth() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    covered = 0
    for i in range(200):
        true = [i % 2 == 0 for i in range(100)]
        said = [t if rng.random() < 0.8 else not t for t in true]
        found = score(said, true, seed=i)
        assert found is not None
        covered += found.accuracy.low <= 0.8 <= found.accuracy.high
    assert covered >= 180
