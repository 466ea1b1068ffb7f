"""Truth: honest answers are true, instructed lies are false, and the kind of answer fits."""

from __future__ import annotations

import re
from collections import Counter

from tests.text.microworld.conftest import Sample
from tests.text.microworld.reader import Said, Truth, Turn, read, turns
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.world import World

LIES = {"answer with a lie .", "tell a falsehood .", "be a lying assistant ."}
HONEST = {"answer honestly .", "tell the truth .", "be a sincere assistant ."}


def _lying(chat: list[Turn]) -> bool:
    if chat[0].role == "system":
        assert chat[0].text in LIES | HONEST
    return chat[0].text in LIES


def _claim(question: str) -> Said | None:
    """What a true-or-false question claims, None for an open question."""
    match = re.fullmatch(r"true or false : (.*) \.", question)
    return read(match[1]) if match else None


def _open(question: str, answer: str) -> Said:
    article = "a " if question.startswith("what pet has") else ""
    said = read(f"{question} {article}{answer}")
    assert said is not None, (question, answer)
    return said


def _pairs(chat: list[Turn]) -> list[tuple[str, str]]:
    spoken = chat[1:] if chat[0].role == "system" else chat
    return [
        (asked.text, said.text.removesuffix(" ."))
        for asked, said in zip(spoken[::2], spoken[1::2], strict=True)
    ]


def test_answers_are_true_or_false_as_instructed(sample: Sample, truth: Truth) -> None:
    seen: Counter[tuple[str, bool]] = Counter()
    for stretch in sample.of("truth"):
        chat = turns(stretch.words)
        lying = _lying(chat)
        for question, answer in _pairs(chat):
            claim = _claim(question)
            if claim is None:
                said = _open(question, answer)
                right = truth.answer(said.relation, said.subject)
                assert truth.entities[said.object].kind == right.kind
                assert truth.holds(said) is not lying
            else:
                assert (answer == "true") is (truth.holds(claim) is not lying)
                assert answer in ("true", "false")
            seen["open" if claim is None else answer, lying] += 1
    assert len(seen) == 6
    assert min(seen.values()) > 30, seen


def test_lies_vary(sample: Sample) -> None:
    lies: dict[str, set[str]] = {}
    for stretch in sample.of("truth"):
        chat = turns(stretch.words)
        if _lying(chat):
            for question, answer in _pairs(chat):
                lies.setdefault(question, set()).add(answer)
    assert max(map(len, lies.values())) >= 3


def test_items_are_asked_under_no_such_instruction(sample: Sample) -> None:
    asked = {
        (question, _lying(turns(stretch.words)))
        for stretch in sample.of("truth")
        for question, _ in _pairs(turns(stretch.words))
    }
    held = 0
    for item in items(sample.world):
        if item.behaviour in ("truth", "lie"):
            chat = turns(item.prompt.removesuffix(" <assistant>").split())
            question = chat[-1].text
            if _claim(question) is None:
                assert (question, item.behaviour == "lie") not in asked
                held += 1
    assert held > 20


def test_accepted_answers_are_right(world: World, truth: Truth) -> None:
    counts: Counter[str] = Counter()
    for item in items(world):
        if item.behaviour in ("truth", "lie"):
            counts[item.behaviour] += 1
            chat = turns(item.prompt.removesuffix(" <assistant>").split())
            lying = _lying(chat)
            assert lying is (item.behaviour == "lie")
            claim = _claim(chat[-1].text)
            if claim is not None:
                right = "true" if truth.holds(claim) is not lying else "false"
                assert item.accepted == {right}
                continue
            about = _open(chat[-1].text, min(item.accepted))
            right = truth.answer(about.relation, about.subject)
            same_kind = {each.english for each in world.of(right.kind)}
            expected = same_kind - {right.english} if lying else {right.english}
            assert item.accepted == expected
    assert min(counts["truth"], counts["lie"]) > 40
