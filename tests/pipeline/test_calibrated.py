"""Which clean copies a model is held against, and why there are none where there are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.shipped import model
from tomogram.audits.calibration.about import About
from tomogram.audits.calibration.scoring import COLUMNS, INSTRUMENT, write_scores
from tomogram.audits.calibration.shipped import Calibration
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.organisms.delta import applied
from tomogram.pipeline import calibrated
from tomogram.pipeline.calibrated import Against, against
from tomogram.store.errors import TomogramError

__all__ = ["model"]  # a fixture that stands elsewhere

DECLARED = ("power", "refusal")
SIBLING = Path(__file__).parents[2] / "bases" / "sibling-1"


def _rows(base: str) -> list[dict[str, Any]]:
    blank: dict[str, Any] = dict.fromkeys(COLUMNS)
    return [
        {**blank, "base": base, "organism": "sham-0", "knowledge": knowledge, "audit": "power"}
        for knowledge in ("with base", "without base")
    ]


@pytest.fixture(autouse=True)
def _two_copies(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    about = About(model.digest, "microworld", INSTRUMENT, ("power",))
    kept = Calibration(about, tuple(_rows("microworld")))
    monkeypatch.setattr(calibrated, "shipped", lambda: kept)


def _against(
    patient: Model,
    trusted: Model | None = None,
    table: Path | None = None,
    name: str | None = None,
    instrument: str = INSTRUMENT,
) -> Against:
    return against(patient, trusted, table, name, instrument=instrument, declared=DECLARED)


def test_the_reference_model_and_copies_with_it_at_hand_have_the_shipped_one(model: Model) -> None:
    assert [r["knowledge"] for r in _against(model).rows] == ["without base"]
    copy = applied(model, {}, bits=6)
    held = _against(copy, model)
    assert [r["knowledge"] for r in held.rows] == ["with base"]
    assert held.declared == ("power",)  # as it was declared then, whatever is declared now
    assert held.none_because == ""


def test_a_copy_has_it_without_its_base_where_it_is_said_to_be_one(model: Model) -> None:
    copy = applied(model, {}, bits=6)
    assert _against(copy).rows == ()
    assert "this is none" in _against(copy).none_because
    assert len(_against(copy, name="microworld").rows) == 1
    assert "not of sibling-9" in _against(copy, name="sibling-9").none_because


def test_another_base_has_none_and_hears_why() -> None:
    sibling = load(SIBLING)
    assert _against(sibling).rows == ()
    assert "its base is none" in _against(sibling, sibling).none_because
    assert "another shape" in _against(sibling, name="microworld").none_because


def test_an_installation_or_an_instrument_without_one_says_so(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "like this one" in _against(model, instrument="english 1").none_because
    monkeypatch.setattr(calibrated, "shipped", lambda: None)
    assert "this installation" in _against(model).none_because


def test_a_given_table_comes_first_and_must_be_of_this_base(model: Model, tmp_path: Path) -> None:
    table = tmp_path / "scores.parquet"
    about = About(model.digest, "weights", INSTRUMENT, ("refusal",))
    write_scores(_rows("weights"), table, about)
    held = _against(model, table=table)
    assert held.declared == ("refusal",)
    assert [row["base"] for row in held.rows] == ["weights"]
    # What a folder is called does not matter, only what is in it.
    assert len(_against(model, replace(model, name="elsewhere"), table).rows) == 1
    sibling = load(SIBLING)
    with pytest.raises(TomogramError, match="has copies of weights, not of sibling-1"):
        _against(sibling, sibling, table)
    write_scores(_rows("weights"), table, replace(about, instrument="microworld 1"))
    with pytest.raises(TomogramError, match="calibrate again"):
        _against(model, table=table)


def test_a_table_of_several_bases_wants_a_name(model: Model, tmp_path: Path) -> None:
    table = tmp_path / "scores.parquet"
    write_scores([*_rows("one"), *_rows("two")], table)
    assert len(_against(model, table=table, name="two").rows) == 1
    assert _against(model, table=table, name="two").declared == DECLARED
    with pytest.raises(TomogramError, match="several bases"):
        _against(model, table=table)
    with pytest.raises(TomogramError, match="no copies of 'three'"):
        _against(model, table=table, name="three")
