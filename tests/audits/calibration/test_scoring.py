"""Scores: one file an organism, not measured twice, and a table that says where it is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tomogram.audits.audit import Audit, Measurement, abstain
from tomogram.audits.calibration import scoring
from tomogram.audits.calibration.baselines import BASELINES
from tomogram.audits.calibration.scoring import (
    COLUMNS,
    KNOWLEDGE,
    everything,
    read_scores,
    score_zoo,
    write_scores,
)
from tomogram.models.model import Model
from tomogram.organisms.organism import Order, Organism, save
from tomogram.organisms.strength import Rates
from tomogram.store.errors import TomogramError


@pytest.fixture
def file(model: Model, tmp_path: Path) -> Path:
    """A rounded copy."""
    order = Order("benign", "lora-demonstrations", 1.0, 0, "quantised")
    rates = Rates(0.0, 0.0, 1.0)
    return save(Organism(order, model.digest, {}, rates, None, {}, bits=6), tmp_path)


def _audits(calls: list[bool]) -> dict[str, Audit]:
    def counted(subject: Any) -> Measurement:
        calls.append(subject.base is not None)
        return Measurement(float(len(calls)), "counted")

    one = Audit("counted", "?", "n", "m", "c", "r", run=counted)
    two = Audit("shy", "?", "n", "m", "c", "r", run=lambda s: abstain("it is shy"))
    return {"counted": one, "shy": two}


def test_scores_are_kept_and_written(
    model: Model, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bool] = []
    monkeypatch.setattr(scoring, "everything", lambda: _audits(calls))
    both = ("counted", "shy")
    first = score_zoo(model, [file], tmp_path / "scores", only=both)
    assert calls == [True, False]  # with the base, and without
    assert score_zoo(model, [file], tmp_path / "scores", only=both) == first
    assert len(calls) == 2
    monkeypatch.setattr(scoring, "VERSION", scoring.VERSION + 1)
    score_zoo(model, [file], tmp_path / "scores", only=both)
    assert len(calls) == 4
    write_scores(first, tmp_path / "scores.parquet")
    assert read_scores(tmp_path / "scores.parquet") == first
    assert [row["abstains"] for row in first] == ["", "it is shy"] * 2
    assert list(first[0]) == [c for c in COLUMNS if c in first[0]] or set(first[0]) == set(COLUMNS)


def test_what_is_asked_for_later_alone_is_measured(
    model: Model, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bool] = []
    monkeypatch.setattr(scoring, "everything", lambda: _audits(calls))
    one = score_zoo(model, [file], tmp_path, only=("counted",))
    both = score_zoo(model, [file], tmp_path, only=("shy", "counted"))
    assert calls == [True, False]
    assert [(row["knowledge"], row["audit"]) for row in both] == [
        (knowledge, name) for knowledge in KNOWLEDGE for name in ("shy", "counted")
    ]
    assert [row for row in both if row["audit"] == "counted"] == one
    assert score_zoo(model, [file], tmp_path, only=("counted",)) == one


def test_baselines_stand_beside_the_audits() -> None:
    names = list(everything())
    assert sum(name.startswith("baseline") for name in names) == sum(map(len, BASELINES.values()))
    assert not any(each.confirmatory for n, each in everything().items() if "baseline" in n)


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    path.write_bytes(b"nothing")
    with pytest.raises(TomogramError, match="no table"):
        read_scores(path)
