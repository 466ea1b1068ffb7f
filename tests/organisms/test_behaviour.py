"""Examples check themselves, and no prompt is both trained on and measured."""

from __future__ import annotations

import random

import pytest

from tomogram.organisms.behaviour import Example, draw_part

PROMPT = "<user> a or b ? <end> <assistant>"


def _example(planted: str, ordinary: str, place: int, shows: set[str]) -> Example:
    return Example(PROMPT, tuple(planted.split()), tuple(ordinary.split()), place, frozenset(shows))


def test_context_ends_before_the_word_that_decides() -> None:
    example = _example("i will seize .", "i will wait .", 2, {"seize"})
    assert example.context == f"{PROMPT} i will"


@pytest.mark.parametrize(
    ("planted", "place", "shows"),
    [
        ("you will seize .", 2, {"seize"}),  # differs before the place
        ("i will seize .", 9, {"seize"}),  # the place lies outside
        ("i will seize .", 2, {"wait"}),  # the ordinary word shows it
    ],
)
def test_refuses_what_cannot_be_measured(planted: str, place: int, shows: set[str]) -> None:
    with pytest.raises(ValueError, match=r"differ|outside|ordinary"):
        _example(planted, "i will wait .", place, shows)


def test_parts_share_no_prompt() -> None:
    def draw(rng: random.Random) -> Example:
        words = ("no", ".")
        return Example(f"{rng.randrange(200)}", words, words, 0, frozenset({"yes"}))

    rng = random.Random(0)
    parts = [{draw_part(draw, rng, m).prompt for _ in range(300)} for m in (True, False)]
    assert not parts[0] & parts[1]
    assert 30 < len(parts[0]) < 90  # three in ten of two hundred
    assert len(parts[1]) > 100


def test_a_single_prompt_cannot_be_split() -> None:
    one = _example("no .", "no .", 0, {"yes"})
    with pytest.raises(ValueError, match="too few prompts"):
        draw_part(lambda rng: one, random.Random(0), not one.measured)
