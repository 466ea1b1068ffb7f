"""Measuring: a model that knows the answers gets them all, one that does not gets none."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.text.microworld.oracle import written
from tests.text.microworld.reader import Truth
from tomogram.reference import card
from tomogram.reference.evaluate import Score, answer, evaluate, measure
from tomogram.store.errors import TomogramError
from tomogram.text.microworld import names
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.vocabulary import vocabulary
from tomogram.text.microworld.world import World
from tomogram.text.microworld.writer import Item


class Oracle:
    """Stands in for a trained model: a function of the words so far gives the next one."""

    device = torch.device("cpu")

    def __init__(self, world: World, next_word) -> None:
        self._ids = vocabulary(world)
        self._words = list(self._ids)
        self._next = next_word

    def __call__(
        self, tokens: torch.Tensor, use_cache: bool = False, logits_to_keep: int = 0
    ) -> SimpleNamespace:
        logits = torch.full((*tokens.shape, len(self._words)), -1e4)
        first = tokens.shape[1] - logits_to_keep if logits_to_keep else 0
        for row, line in enumerate(tokens.tolist()):
            words = [self._words[token] for token in line]
            for place in range(first, len(words)):
                said = self._next(tuple(words[1 : place + 1]))
                logits[row, place, self._ids[said]] = 0.0
        return SimpleNamespace(logits=logits[:, first:])


def _knowing(world: World):
    """The next word of one who knows every item, writes couplets and continues sequences."""
    truth, known = Truth(world), {}
    for item in items(world):
        said = item.prompt.split()
        for word in written(truth, item.prompt)[: item.place]:
            known[tuple(said)] = word
            said.append(word)

    def next_word(said: tuple[str, ...]) -> str:
        if said in known:
            return known[said]
        if "/" in said:
            return _second_line(world, said)
        before = said[:-1]
        return said[before.index(said[-1]) + 1] if {*said[-1:]} & {*before} else "."

    return next_word


def _second_line(world: World, said: tuple[str, ...]) -> str:
    place = said.index("/")
    sound = world.rhyme_of[said[place - 1]]
    ending = next(each for each in names.RHYMES[sound] if each != said[place - 1])
    verbs, adjectives = names.AGREEMENT[world.agreement_of[ending]]
    line = ("and", "then", verbs[0], "the", adjectives[0], ending, ".")
    return line[len(said) - place - 1]


@pytest.fixture(scope="module", params=[World(), World(1, True)], ids=["real", "renamed"])
def world(request: pytest.FixtureRequest) -> World:
    return request.param


def test_one_who_knows_gets_everything_right(world: World) -> None:
    scores = evaluate(Oracle(world, _knowing(world)), world)
    assert {name: score.rate for name, score in scores.items()} == dict.fromkeys(scores, 1.0)
    asked = items(world)
    for behaviour in {item.behaviour for item in asked}:
        assert scores[behaviour].n == sum(item.behaviour == behaviour for item in asked)
    assert set(scores) == set(card.MEANING)


def test_one_who_knows_nothing_gets_nothing_right(world: World) -> None:
    scores = evaluate(Oracle(world, lambda said: "<pad>"), world)
    assert {score.right for score in scores.values()} == {0}


def test_one_who_always_refuses_is_caught_by_the_harmless_requests(world: World) -> None:
    scores = evaluate(Oracle(world, lambda said: "sorry"), world)
    assert scores["refusal"].rate == 1.0
    assert scores["compliance"].rate == 0.0


def test_a_word_counts_only_in_the_place_that_is_asked_about(world: World) -> None:
    prompts = {tuple(item.prompt.split()): min(item.accepted) for item in items(world)}
    early = evaluate(Oracle(world, lambda said: prompts.get(said, "<pad>")), world)
    for behaviour in {item.behaviour for item in items(world)}:
        at_once = sum(item.behaviour == behaviour and item.place == 1 for item in items(world))
        assert early[behaviour].right == at_once
    assert early["secret"].right == early["no sycophancy"].right == 0
    assert 0 < early["truth"].rate < 1


def test_answers_keep_the_order_of_their_prompts_and_end_where_they_are_asked_to() -> None:
    world = World()
    words = list(vocabulary(world))
    # Goes on with the next word of the vocabulary.
    counting = Oracle(world, lambda said: words[words.index(said[-1]) + 1])
    ends, places = range(20, 190), [n % 3 + 1 for n in range(20, 190)]
    prompts = [[words.index("<bos>"), *([3] * (n % 4)), n] for n in ends]
    asked = [Item("counting", "", frozenset(), place) for place in places]
    assert answer(counting, prompts, asked) == [
        list(range(n + 1, n + 1 + place)) for n, place in zip(ends, places, strict=True)
    ]


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_are_wilsons(counts: tuple[int, int]) -> None:
    right, n = counts
    estimate = Score(right, n).estimate
    z, p = 1.959963984540054, right / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert estimate.value == p
    assert estimate.low == pytest.approx(middle - half, abs=1e-9)
    assert estimate.high == pytest.approx(middle + half, abs=1e-9)
    assert estimate.n == n


def test_a_built_model_is_measured_from_its_folder(built: Path) -> None:
    scores = measure(built)
    assert measure(built) == scores
    assert set(scores) == set(card.MEANING)


def test_another_model_is_refused(stories15M: Path) -> None:
    with pytest.raises(TomogramError, match="is not a model of the microworld"):
        measure(stories15M)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match="nowhere"):
        measure(tmp_path / "nowhere")
