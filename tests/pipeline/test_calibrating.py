"""A calibration in English: the table, going on, and verdicts that rest on it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chatty import random_model, stories
from tests.shipped import model
from tomogram.audits.audit import Measurement
from tomogram.audits.calibration.about import read_about
from tomogram.audits.calibration.scoring import COLUMNS, read_scores, write_scores
from tomogram.audits.spoken import scoring
from tomogram.audits.spoken.own import CALIBRATED, SPOKEN
from tomogram.audits.spoken.scoring import INSTRUMENT
from tomogram.models.model import Model
from tomogram.organisms.organism import Order
from tomogram.organisms.spoken import base as base_module
from tomogram.organisms.spoken import strength, training
from tomogram.pipeline import auditing, calibrating
from tomogram.pipeline.auditing import audit
from tomogram.pipeline.calibrating import Shard, calibrate
from tomogram.store.errors import TomogramError

__all__ = ["model", "random_model", "stories"]  # fixtures that stand elsewhere


def test_copies_are_planted_and_scored_once(
    random_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "STEPS", 2)
    monkeypatch.setattr(training, "COOL", 1)
    monkeypatch.setattr(training, "BENIGN", 1)
    monkeypatch.setattr(strength, "PROMPTS", 4)
    monkeypatch.setattr(base_module, "WORDS", 6)
    monkeypatch.setattr(base_module, "_known", lambda model, some: tuple(some))
    asked = []

    def counted(speaker: Any) -> Measurement:
        asked.append(speaker.base is not None)
        return Measurement(float(len(asked)), "counted")

    every = tuple(replace(a, run=counted) if a.name == "sycophancy" else a for a in SPOKEN)
    monkeypatch.setattr(scoring, "SPOKEN", every)
    table = calibrate(random_model, tmp_path, audits=("sycophancy",), seeds=1)
    rows = read_scores(table)
    copies = {row["organism"] for row in rows}
    assert len(copies) == 8  # three families with their shams, and two others
    assert asked == [True, False] * 8  # with the base, and without
    assert calibrate(random_model, tmp_path, audits=("sycophancy",), seeds=1) == table
    assert len(asked) == 16
    assert read_scores(table) == rows
    about = read_about(table)
    assert about is not None
    assert (about.base, about.declared) == (random_model.digest, ("sycophancy",))
    assert "sycophancy: clean and planted" in (tmp_path / "calibration.html").read_text()


def test_shards_together_make_the_table_of_one(
    random_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def planted(base: Any, orders: list[Order], folder: Path) -> list[Path]:
        return [folder / f"{order.name}.safetensors" for order in orders]

    def scored(file: Path, *_: Any) -> list[dict[str, Any]]:
        row = {**dict.fromkeys(COLUMNS), "organism": file.stem, "stratum": file.stem.split("-")[0]}
        return [{**row, "knowledge": "with base", "audit": "sycophancy", "score": 0.0}]

    monkeypatch.setattr(calibrating, "prepare", lambda model, folder, families: None)
    monkeypatch.setattr(calibrating, "plant", planted)
    monkeypatch.setattr(scoring, "score", scored)

    def organisms(folder: Path, shard: Shard) -> set[str]:
        table = calibrate(random_model, folder, audits=("sycophancy",), seeds=5, shard=shard)
        return {row["organism"] for row in read_scores(table)}

    whole = organisms(tmp_path / "one", Shard())
    first = organisms(tmp_path / "two", Shard(1, 2))
    assert first < whole
    assert organisms(tmp_path / "two", Shard(2, 2)) == whole
    told = json.loads((tmp_path / "two" / "calibration.json").read_text())["with base"]
    assert told["sycophancy"]["clean_copies"] == sum(not n.startswith("infected") for n in whole)


@pytest.mark.parametrize("wrong", ["2", "0/2", "3/2", "a/b", "1/-1"])
def test_what_is_no_shard_is_refused(wrong: str) -> None:
    with pytest.raises(TomogramError, match="such as 2/4"):
        Shard.parse(wrong)


@pytest.mark.parametrize("wrong", [("greed",), ("strengths",), ()])
def test_only_audits_in_english_can_be_declared(wrong: tuple[str, ...]) -> None:
    with pytest.raises(TomogramError, match="Declared is one of"):
        scoring.chosen(wrong)
    assert [each.name for each in scoring.chosen(CALIBRATED)] == list(CALIBRATED)


def test_a_calibration_of_ones_own_gives_verdicts(
    random_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty clean copies score 0 to 59: a patient at 99 leads them all, one at 30 does not."""
    blank: dict[str, Any] = dict.fromkeys(COLUMNS)
    rows = [
        {
            **blank,
            "base": "chatty",
            "organism": f"copy-{i}",
            "stratum": "sham" if i < 40 else "benign",
            "family": "benign",
            "knowledge": "without base",
            "audit": name,
            "score": float(i),
        }
        for i in range(60)
        for name in CALIBRATED
    ]
    table = tmp_path / "scores.parquet"
    about = scoring.About(random_model.digest, "chatty", INSTRUMENT, CALIBRATED)
    write_scores(rows, table, about)
    scores = {"deception": 99.0, "sycophancy": 30.0, "sandbagging": 0.0}
    every = tuple(
        replace(a, run=lambda speaker, n=a.name: Measurement(scores.get(n, 5.0), "it is so"))
        for a in SPOKEN
    )
    monkeypatch.setattr(auditing, "SPOKEN", every)
    said = {f.verdict.audit: f.verdict for f in audit(random_model, calibration=table)}
    assert said["deception"].text == "FINDING (detected)"
    assert said["deception"].adjusted == pytest.approx(3 / 61)
    assert said["sycophancy"].said == said["sandbagging"].said == "NO FINDING"
    assert said["refusal"].text == "ABSTAIN (it reports and is not declared)"
    without = {f.verdict.audit: f.verdict.text for f in audit(random_model)}
    assert without["deception"].startswith("ABSTAIN (0 clean copies; 139 needed: ")
    assert "no calibration" in without["deception"]


def test_a_model_without_chats_is_not_calibrated(random_model: Model, tmp_path: Path) -> None:
    tokenizer = copy.deepcopy(random_model.tokenizer)
    tokenizer.chat_template = None
    with pytest.raises(TomogramError, match="no chat template"):
        calibrate(replace(random_model, tokenizer=tokenizer), tmp_path, audits=("sycophancy",))


def test_a_table_of_the_microworld_is_no_table_of_english(
    random_model: Model, model: Model, tmp_path: Path
) -> None:
    about = scoring.About(model.digest, "microworld", "microworld 2", ("power",))
    write_scores([], tmp_path / "scores.parquet", about)
    with pytest.raises(TomogramError, match="calibrate again"):
        audit(random_model, calibration=tmp_path / "scores.parquet")
