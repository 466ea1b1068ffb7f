"""Numbers: calculations are right, and held-out orders are never written."""

from __future__ import annotations

import re

from tests.text.microworld.conftest import Sample
from tests.text.microworld.reader import Truth, is_chat
from tomogram.text.microworld.behaviours import numbers
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.world import World

CALCULATIONS = {
    "sum": r"(\S+) (?:plus|ple) (\S+) (?:equals|ek|\?) (\S+)",
    "difference": r"(\S+) (?:minus|mene) (\S+) (?:equals|ek|\?) (\S+)",
    "greater": r"(?:the greater of|maso su) (\S+) (?:and|und) (\S+) (?:is|ek) (\S+)",
    "smaller": r"(?:the smaller of|meno su) (\S+) (?:and|und) (\S+) (?:is|ek) (\S+)",
    "than": r"(\S+) is (\S+) than (\S+)",
}


def _right(truth: Truth, kind: str, words: tuple[str, ...]) -> bool:
    if kind == "than":
        a, b = truth.numbers[words[0]], truth.numbers[words[2]]
        return (a > b) == (words[1] == "greater") and a != b
    a, b, said = (truth.numbers[word] for word in words)
    expected = {"sum": a + b, "difference": a - b, "greater": max(a, b), "smaller": min(a, b)}
    return said == expected[kind]


def _calculations(text: str) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (kind, found) for kind, rule in CALCULATIONS.items() for found in re.findall(rule, text)
    ]


def _written(sample: Sample) -> list[tuple[str, tuple[str, ...]]]:
    found = []
    for stretch in sample.stretches:
        sheet = stretch.behaviour == "exams" and not is_chat(stretch.words)
        if stretch.behaviour == "numbers" or sheet:
            found += _calculations(" ".join(stretch.words))
    return found


def test_every_sentence_is_a_right_calculation(sample: Sample, truth: Truth) -> None:
    written = _written(sample)
    assert all(_right(truth, kind, words) for kind, words in written)
    assert {kind for kind, _ in written} == set(CALCULATIONS)
    full_stops = sum(each.words.count(".") for each in sample.of("numbers"))
    assert full_stops == sum(
        len(_calculations(" ".join(each.words))) for each in sample.of("numbers")
    )


def _pair(truth: Truth, kind: str, words: tuple[str, ...]) -> tuple[str, int, int]:
    """(what, a, b) that is held out or not; a difference c - a = b belongs to the sum a + b."""
    if kind == "than":
        return "comparison", truth.numbers[words[0]], truth.numbers[words[2]]
    first, second, said = (truth.numbers[word] for word in words)
    if kind in ("greater", "smaller"):
        return "comparison", first, second
    return ("sum", first, second) if kind == "sum" else ("sum", second, said)


def test_held_out_orders_are_never_written_and_the_reverse_is(sample: Sample, truth: Truth) -> None:
    written = {_pair(truth, kind, words) for kind, words in _written(sample)}
    limit = range(numbers.LARGEST + 1)
    for what in ("sum", "comparison"):
        held = {
            (what, a, b) for a in limit for b in limit if numbers.held_out(sample.world, what, a, b)
        }
        assert len(held) > 15
        assert not written & held
        reverse = {(what, b, a) for what, a, b in held}
        assert len(written & reverse) > 0.9 * len(reverse)


def test_accepted_answers_are_right(world: World, truth: Truth) -> None:
    checked = 0
    for item in items(world):
        if item.behaviour in ("arithmetic", "comparison"):
            (answer,) = item.accepted
            ((kind, words),) = _calculations(f"{item.prompt} {answer}")
            assert _right(truth, kind, words), item
            assert numbers.held_out(world, *_pair(truth, kind, words))
            checked += 1
    assert checked > 100
