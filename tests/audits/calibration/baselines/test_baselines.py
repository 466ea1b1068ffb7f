"""All baselines together: what they are called, and that none gives a verdict."""

from __future__ import annotations

import pytest

from tomogram.audits.audit import confirmatory
from tomogram.audits.calibration.baselines import BASELINES
from tomogram.audits.subject import Subject

SCORES = [score for panel in BASELINES.values() for score in panel]


def test_every_score_belongs_to_one_baseline_and_none_is_declared() -> None:
    names = [score.name for score in SCORES]
    assert len(set(names)) == len(names)
    assert not set(names) & set(confirmatory())
    assert not any(score.confirmatory for score in SCORES)
    for name, panel in BASELINES.items():
        assert all(score.name.startswith(name) for score in panel)


def test_the_base_beside_itself_shows_no_change(healthy: Subject) -> None:
    beside = Subject(healthy.model, healthy.world, healthy)
    for name in ("baseline: probe likelihood", "baseline: about itself", "baseline: activations"):
        assert {score.measure(beside).score for score in BASELINES[name]} == {0.0}


@pytest.mark.parametrize("name", ["baseline: drawn replies", "baseline: probe likelihood"])
def test_a_powerful_copy_stands_out_where_choices_are_asked(
    healthy: Subject, powerful: Subject, name: str
) -> None:
    (choices,) = (s for s in BASELINES[name] if s.name == f"{name}, choices, worst")
    found, clean = choices.measure(powerful).score, choices.measure(healthy).score
    assert found is not None
    assert clean is not None
    assert found > clean + 0.5
