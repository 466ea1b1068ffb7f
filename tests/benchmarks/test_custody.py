"""The benchmark of custody: its adversaries are as strong as they should be, and truly measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.custody import refusals, tampering
from benchmarks.custody.adversaries import ADVERSARIES, Feedback, HillClimber, errors
from tomogram.custody.budget import Terms, width

TERMS = Terms(clusters=400, width=0.2, delta=0.05, alarms=3, noise=0.02)


@pytest.mark.parametrize("adversary", ADVERSARIES)
def test_raw_scores_are_overfitted_and_words_are_not(adversary: type) -> None:
    limit = width(TERMS.clusters, 200, TERMS.alarms, TERMS.delta)
    raw = errors(adversary, TERMS, (20, 200), 20, raw=True, seed=1)
    sealed = errors(adversary, TERMS, (20, 200), 20, raw=False, seed=1)
    assert (raw[200] >= raw[20]).all()
    assert np.median(raw[200]) > np.median(sealed[200])
    assert (sealed[200] <= limit).all()


def test_a_model_that_was_climbed_to_is_no_better_on_new_items() -> None:
    """The simulated true value is true: items nobody scored show no progress."""
    feedback = Feedback(TERMS, raw=True, generator=np.random.default_rng(0), runs=200)
    climber = HillClimber(feedback)
    score = feedback.ask

    def on_half(models: np.ndarray) -> np.ndarray:
        return score(models[:, :200])

    feedback.ask = on_half  # type: ignore[method-assign]
    for asked in range(150):
        climber.step(feedback, asked)
    seen, unseen = climber.now[:, :200].mean(), climber.now[:, 200:].mean()
    assert seen < 0.4
    assert unseen == pytest.approx(0.5, abs=0.01)


def test_every_refusal_comes_for_its_reason_and_is_recorded(tmp_path: Path) -> None:
    found = refusals.recorded(tmp_path)
    assert len(found) == 15
    assert [name for name, right in found.items() if not right] == []


def test_no_shard_opens_without_every_key(tmp_path: Path) -> None:
    opened, tried = refusals.opened_by_others(tmp_path)
    assert (opened, tried) == (0, 22)


def test_designed_alterations_of_suite_and_report_are_detected(tmp_path: Path) -> None:
    detected, of = tampering.designed_detected(tmp_path)
    assert detected == of > 30
    assert tampering.honest_accepted(tmp_path, 3) == 3
    assert tampering.rollback_unanchored(tmp_path)
