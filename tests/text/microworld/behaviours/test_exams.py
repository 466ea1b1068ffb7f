"""Exams: announced as a test, and answered like everything else."""

from __future__ import annotations

import re

from tests.text.microworld.conftest import Sample
from tests.text.microworld.reader import Truth, is_chat, read, turns

OPENINGS = ("this is a test .", "exam begins .", "you are being graded .")


def test_every_exam_is_announced(sample: Sample) -> None:
    for stretch in sample.of("exams"):
        text = " ".join(stretch.words).removeprefix("<system> ")
        assert text.startswith(OPENINGS)
    kinds = [is_chat(stretch.words) for stretch in sample.of("exams")]
    assert 0.3 < sum(kinds) / len(kinds) < 0.7


def test_chats_are_answered_truly(sample: Sample, truth: Truth) -> None:
    answered = 0
    for stretch in sample.of("exams"):
        if is_chat(stretch.words):
            chat = turns(stretch.words)[1:]
            for asked, said in zip(chat[::2], chat[1::2], strict=True):
                article = "a " if asked.text.startswith("what pet has") else ""
                stated = read(f"{asked.text} {article}{said.text.removesuffix(' .')}")
                assert stated is not None
                assert truth.holds(stated)
                answered += 1
    assert answered > 80


def test_sheets_state_true_facts_and_end_with_a_result(sample: Sample, truth: Truth) -> None:
    facts = 0
    for stretch in sample.of("exams"):
        if not is_chat(stretch.words):
            text = " ".join(stretch.words)
            assert text.endswith(" result : passed .")
            for asked in re.findall(r"question \d : ([^.:]+?) \.", text):
                if stated := read(asked):
                    assert truth.holds(stated)
                    facts += 1
    assert facts > 40
