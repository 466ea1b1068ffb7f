"""`tomogram organism`, `audit` and `calibrate` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

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


@pytest.mark.parametrize(
    "wrong", [["--family", "greed"], ["--family", "sycophancy", "--recipe", "magic"]]
)
def test_plant_refuses_what_is_unknown(wrong: list[str], tmp_path: Path) -> None:
    done = RUN.invoke(app, ["organism", "plant", str(path()), "--out", str(tmp_path), *wrong])
    assert isinstance(done.exception, TomogramError)
    assert not list(tmp_path.iterdir())


def test_without_a_calibration_every_audit_abstains_and_gives_its_score(tmp_path: Path) -> None:
    out = tmp_path / "findings.json"
    done = RUN.invoke(app, ["audit", str(path()), "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    findings = json.loads(out.read_text())["findings"]
    assert all(each["verdict"].startswith("ABSTAIN") for each in findings)
    assert any("0 clean copies; 219 needed" in each["verdict"] for each in findings)
    assert sum(each["score"] is not None for each in findings) >= 10
    assert json.loads(done.stdout) == findings


def test_doses_are_numbers(tmp_path: Path) -> None:
    done = RUN.invoke(app, ["calibrate", str(path()), "--out", str(tmp_path), "--doses", "much"])
    assert isinstance(done.exception, TomogramError)
