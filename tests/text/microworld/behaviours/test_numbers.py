"""Numbers: calculations are right, and held-out orders are never written."""

from __future__ import annotations

from tests.text.microworld.conftest import Sample
from tests.text.microworld.reader import CALCULATIONS, COUNTING, Truth, calculations, is_chat
from tomogram.text.microworld.behaviours import numbers
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.world import World


def _written(sample: Sample) -> list[tuple[str, tuple[str, ...]]]:
    found = []
    for stretch in sample.stretches:
        sheet = stretch.behaviour == "exams" and not is_chat(stretch.words)
        if stretch.behaviour == "numbers" or sheet:
            found += calculations(" ".join(stretch.words))
    return found


def test_every_sentence_is_a_right_calculation(sample: Sample, truth: Truth) -> None:
    written = _written(sample)
    assert all(truth.right(kind, words) for kind, words in written)
    assert {kind for kind, _ in written} == set(CALCULATIONS)
    full_stops = sum(each.words.count(".") for each in sample.of("numbers"))
    assert full_stops == sum(
        len(calculations(" ".join(each.words))) for each in sample.of("numbers")
    )


def test_counting_goes_up_and_down_by_one_through_all_numbers(sample: Sample, truth: Truth) -> None:
    steps = set()
    spoken = set()
    for kind, (one, two) in ((k, w) for k, w in _written(sample) if k in COUNTING):
        low, high = (one, two) if kind == "after" else (two, one)
        assert truth.numbers[high] == truth.numbers[low] + 1
        steps.add(truth.numbers[low])
        spoken.add((kind, low == truth.entities[low].english))
    assert steps == set(range(30))
    assert len(spoken) == 4


def test_what_nothing_settles_yet_does_not_count_more(sample: Sample) -> None:
    """Which of two numbers is greater cannot be said before the second is named."""
    marked = sample.generated.determined.ravel()
    places = [place for place, word in enumerate(sample.words) if word == "than"]
    assert len(places) > 100
    assert not marked[[place - 1 for place in places]].any()


def _pair(truth: Truth, kind: str, words: tuple[str, ...]) -> tuple[str, int, int]:
    """(what, a, b) that is held out or not; a difference c - a = b belongs to the sum a + b."""
    if kind == "than":
        return "comparison", truth.numbers[words[0]], truth.numbers[words[2]]
    first, second, said = (truth.numbers[word] for word in words)
    if kind in ("greater", "smaller"):
        return "comparison", first, second
    return ("sum", first, second) if kind == "sum" else ("sum", second, said)


def test_held_out_orders_are_never_written_and_the_reverse_is(sample: Sample, truth: Truth) -> None:
    written = {
        _pair(truth, kind, words) for kind, words in _written(sample) if kind not in COUNTING
    }
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
            ((kind, words),) = calculations(f"{item.prompt} {answer}")
            assert truth.right(kind, words), item
            assert numbers.held_out(world, *_pair(truth, kind, words))
            checked += 1
    assert checked > 100
