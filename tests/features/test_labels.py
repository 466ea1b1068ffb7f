from __future__ import annotations

import numpy as np
import pytest

from tomogram.features.exemplars import Keeper
from tomogram.features.labels import Label, Labeller
from tomogram.features.sketches import Sketch
from tomogram.features.statistics import Statistics
from tomogram.features.survey import Observation, Sample
from tomogram.features.units import Family
from tomogram.text.packing import PackedText, pack_tokens

VOCAB, CONTEXT = 30, 40
ROWS = np.arange(100)


@pytest.fixture(scope="module")
def text() -> PackedText:
    rng = np.random.default_rng(0)
    documents = (rng.integers(0, VOCAB, 20, dtype=np.int32) for _ in range(200))
    return pack_tokens(documents, CONTEXT)


def observed(text: PackedText, fires: np.ndarray) -> Observation:
    """An observation of units that fire as the columns of `fires` [tokens units] say."""
    position, unit = np.nonzero(fires)
    size = fires.shape[1]
    activation = fires[position, unit].astype(np.float32)
    return Observation(
        Family("made", "latent", 0, size),
        Statistics.empty(size, 1.0),
        Keeper("top", size, 1),
        Keeper("spread", size, 1),
        Sample(np.arange(text.rows), position, unit, activation),
        Sketch(size),
    )


def label(text: PackedText, fires: np.ndarray) -> list[Label | None]:
    return Labeller(text, np.arange(text.rows)).label(observed(text, fires))


def test_planted_rules_are_found_and_score_one(text: PackedText) -> None:
    token, document = text.tokens.reshape(-1), text.documents.reshape(-1)
    before, after = np.roll(token, 1), np.roll(token, -1)
    inside = (np.roll(document, 1) == document) & (np.arange(len(token)) % CONTEXT > 0)
    goes_on = np.roll(inside, -1)
    fires = np.stack(
        [
            np.isin(token, [3, 4]),
            np.isin(before, [5]) & inside,
            np.isin(after, [6]) & goes_on,
            # Fifteen pairs, so that the sample holds each of them more than twice.
            (token < 15) & (before == 9) & inside,
            np.zeros(len(token), bool),
        ],
        axis=1,
    )
    current, previous, following, pair, silent = label(text, fires)
    assert current is not None
    assert current.kind == "current"
    assert {mark[0] for mark in current.marks} == {3, 4}
    assert current.n_marks == 2
    assert previous is not None
    assert (previous.kind, previous.marks) == ("previous", ((5,),))
    assert following is not None
    assert (following.kind, following.marks) == ("next", ((6,),))
    for found in (current, previous, following):
        assert found.f1.value == found.f1.low == found.f1.high == 1
        assert found.precision == found.recall == found.balanced_accuracy == 1
    assert pair is not None
    assert pair.kind == "pair"
    assert all(mark[0] == 9 and mark[1] < 15 for mark in pair.marks)
    assert silent is None


def test_chance_gets_no_label(text: PackedText) -> None:
    fires = np.random.default_rng(1).random((text.n_tokens, 40)) < 0.02
    assert label(text, fires) == [None] * 40


def test_scores_say_how_often_the_rule_is_right(text: PackedText) -> None:
    token = text.tokens.reshape(-1)
    rng = np.random.default_rng(2)
    # Half of the tokens 3 fire, and as many others.
    on = (token == 3) & (rng.random(len(token)) < 0.75)
    off = (token != 3) & (rng.random(len(token)) < 0.25 / VOCAB)
    found = label(text, (on | off)[:, None])[0]
    assert found is not None
    assert found.marks == ((3,),)
    assert found.precision == pytest.approx(0.75, abs=0.15)
    assert found.recall == pytest.approx(0.75, abs=0.15)
    assert found.f1.low < 0.75 < found.f1.high
    assert found.f1.high - found.f1.low > 0.05


def test_strong_firings_count_for_more(text: PackedText) -> None:
    token = text.tokens.reshape(-1)
    faint = np.random.default_rng(3).random(len(token)) < 0.1
    fires = np.where(token == 3, 10.0, np.where(faint, 0.1, 0.0))[:, None]
    found = label(text, fires)[0]
    assert found is not None
    assert found.marks == ((3,),)
    assert found.recall > 0.9
    unweighed = label(text, (fires > 0).astype(float))[0]
    assert unweighed is None or unweighed.recall < 0.5


def test_the_scored_part_is_not_learned_from(text: PackedText) -> None:
    """A unit that fires on single tokens chosen at random is remembered, but not foretold."""
    fires = np.random.default_rng(4).random((text.n_tokens, 1)) < 0.3
    found = label(text, fires)[0]
    assert found is None or found.f1.value < 0.6
