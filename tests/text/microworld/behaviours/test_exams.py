"""Exams: announced as a test, and answered like everything else."""

from __future__ import annotations

import re

from tests.text.microworld.conftest import Sample
from tests.text.microworld.reader import Truth, answered_turns, calculations, is_chat, read

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
            for asked, said in answered_turns(stretch.words):
                article = "a " if asked.startswith("what pet has") else ""
                stated = read(f"{asked} {article}{said.removesuffix(' .')}")
                assert stated is not None
                assert truth.holds(stated)
                answered += 1
    assert answered > 80


def test_sheets_answer_every_question_and_end_with_a_result(sample: Sample, truth: Truth) -> None:
    facts = numbers = 0
    for stretch in sample.of("exams"):
        if not is_chat(stretch.words):
            text = " ".join(stretch.words)
            _, *asked, last = re.split(r" question \d : | result : ", text)
            assert last == "passed ."
            assert 2 <= len(asked) <= 3
            for sentence in asked:
                assert sentence.endswith(" .")
                if stated := read(sentence.removesuffix(" .")):
                    assert truth.holds(stated)
                    facts += 1
                else:
                    ((kind, words),) = calculations(sentence)
                    assert truth.right(kind, words)
                    numbers += 1
    assert min(facts, numbers) > 40
