from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomogram.features.judging.trials import FEWEST, WINDOW, batches, trials
from tomogram.text.packing import PackedText

CONTEXT = 64


def text_of(rows: int, per_document: int = 48) -> PackedText:
    tokens = np.arange(rows * CONTEXT, dtype=np.int32).reshape(rows, CONTEXT)
    return PackedText(tokens, tokens // per_document)


@given(st.integers(0, 2**32), st.floats(0.001, 0.05))
def test_passages_are_what_they_say(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    text = text_of(80)
    position = np.flatnonzero(rng.random(text.n_tokens) < rate)
    activation = rng.random(len(position)).astype(np.float32) + 0.1
    found = trials(position, activation, text, active=20, seed=seed)
    fires = [trial for trial in found if trial.fires]
    silent = [trial for trial in found if not trial.fires]
    assert len(fires) <= 20
    assert len(silent) <= len(fires)
    assert not fires or len(fires) >= FEWEST
    firing = dict(zip(position.tolist(), activation.tolist(), strict=True))
    seen: set[int] = set()
    for trial in found:
        # Tokens are numbered by their position, so a passage tells where it was taken from.
        assert len(trial.tokens) <= WINDOW
        assert len(trial.marks) == len(trial.tokens)
        assert len({token // CONTEXT for token in trial.tokens}) == 1
        assert len({token // 48 for token in trial.tokens}) == 1
        assert any(token in firing for token in trial.tokens) == trial.fires
        assert any(trial.marks)
        if trial.fires:
            marked = [t for t, mark in zip(trial.tokens, trial.marks, strict=True) if mark]
            assert all(token in firing for token in marked)
            assert not seen & set(trial.tokens)
            seen |= set(trial.tokens)


def test_passages_come_from_all_of_the_range_and_are_the_same_every_time() -> None:
    text = text_of(400)
    position = np.arange(5, text.n_tokens, 97)
    activation = np.linspace(1, 2, len(position)).astype(np.float32)
    found = trials(position, activation, text, active=50, seed=1)
    fires = [trial for trial in found if trial.fires]
    assert len(fires) > 40
    strength = dict(zip(position.tolist(), activation.tolist(), strict=True))
    peaks = [max(strength.get(token, 0) for token in trial.tokens) for trial in fires]
    counts, _ = np.histogram(peaks, 10, (1, 2))
    assert counts.min() >= 2
    assert found == trials(position, activation, text, active=50, seed=1)
    assert found != trials(position, activation, text, active=50, seed=2)


def test_a_feature_that_is_too_rare_is_not_judged() -> None:
    text = text_of(40)
    few = np.array([10, 200, 500, 900])
    assert trials(few, np.ones(4, np.float32), text, seed=0) == []
    assert trials(few[:0], np.ones(0, np.float32), text, seed=0) == []


def test_batches_hold_every_trial_once() -> None:
    text = text_of(100)
    position = np.arange(7, text.n_tokens, 150)
    found = trials(position, np.ones(len(position), np.float32), text, seed=0)
    cut = batches(found, 5)
    assert [trial for batch in cut for trial in batch] == found
    assert max(map(len, cut)) == 5
    assert pytest.approx(len(found) / 5, abs=1) == len(cut)
