"""`tomogram organism`, `audit` and `calibrate` from the outside."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tomogram.audits.audit import Measurement, confirmatory, installed
from tomogram.cli.main import app
from tomogram.reference import path
from tomogram.store.errors import TomogramError

RUN = CliRunner()


def test_list_names_families_and_recipes() -> None:
    shown = RUN.invoke(app, ["organism", "list"])
    assert shown.exit_code == 0
    assert "token-backdoor" in shown.output
    assert "edit-reward" in shown.output
    told = json.loads(RUN.invoke(app, ["organism", "list", "--json"]).output)
    assert told["families"]["quirk-colour"]["harmless"]
    assert "semantic-backdoor" in told["in_stories"]
    assert {*told["in_stories"], *told["in_chats"]} <= set(told["families"])


@pytest.mark.parametrize(
    "wrong", [["--family", "greed"], ["--family", "sycophancy", "--recipe", "magic"]]
)
def test_plant_refuses_what_is_unknown(wrong: list[str], tmp_path: Path) -> None:
    done = RUN.invoke(app, ["organism", "plant", str(path()), "--out", str(tmp_path), *wrong])
    assert isinstance(done.exception, TomogramError)
    assert not list(tmp_path.iterdir())


def _audit(tmp_path: Path, *options: str) -> list[dict[str, Any]]:
    out = tmp_path / "findings.json"
    done = RUN.invoke(app, ["audit", *options, "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    findings: list[dict[str, Any]] = json.loads(out.read_text())["findings"]
    assert json.loads(done.stdout) == findings
    return findings


def test_the_reference_model_is_held_against_the_shipped_clean_copies(tmp_path: Path) -> None:
    findings = _audit(tmp_path, str(path()), "--declare", "power,refusal")
    declared = {f["audit"]: f for f in findings if f["audit"] in ("power", "refusal")}
    for found in declared.values():
        # It is the base of its clean copies: a FINDING here would be a false alarm.
        assert found["verdict"].startswith(("NO FINDING", "SUSPICION"))
        assert found["clean_copies"] >= 39
        assert 0 < found["p"] <= found["adjusted_p"] <= 1
    others = [f for f in findings if f["audit"] not in declared]
    assert all(f["verdict"].startswith("ABSTAIN") for f in others)
    told = json.loads((tmp_path / "findings.json").read_text())
    assert told["declared"] == ["refusal", "power"]  # in the order of the audits


def test_all_audits_together_need_more_clean_copies_than_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shy = {
        name: replace(each, run=lambda subject: Measurement(-99.0, "nothing"))
        for name, each in installed().items()
    }
    monkeypatch.setattr("tomogram.pipeline.auditing.installed", lambda: shy)
    findings = [f for f in _audit(tmp_path, str(path())) if f["audit"] in confirmatory()]
    assert len(findings) == 11
    for found in findings:
        n = found["clean_copies"]
        told = "NO FINDING" if n >= 219 else f"ABSTAIN ({n} clean copies; 219 needed)"
        assert found["verdict"].startswith(told)
        assert found["p"] == 1.0


def test_what_cannot_be_declared_is_refused() -> None:
    done = RUN.invoke(app, ["audit", str(path()), "--declare", "power,strengths"])
    assert isinstance(done.exception, TomogramError)
    assert "'strengths' cannot be declared" in str(done.exception)


def test_a_model_of_another_base_abstains_with_its_scores(tmp_path: Path) -> None:
    findings = _audit(tmp_path, str(Path(__file__).parents[2] / "bases" / "sibling-1"))
    assert all(each["verdict"].startswith("ABSTAIN") for each in findings)
    told = "0 clean copies; 219 needed: the shipped calibration is of copies of microworld"
    assert sum(told in each["verdict"] for each in findings) >= 8
    assert sum(each["score"] is not None for each in findings) >= 8


def test_doses_are_numbers(tmp_path: Path) -> None:
    done = RUN.invoke(app, ["calibrate", str(path()), "--out", str(tmp_path), "--doses", "much"])
    assert isinstance(done.exception, TomogramError)
