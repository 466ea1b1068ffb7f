"""`tomogram disclose` and `tomogram verify --rerun` on a scan, as a user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.disclosed import STATEMENT
from tomogram.cli.main import app
from tomogram.store.errors import TomogramError

Command = Callable[..., Result]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["disclose", *map(str, arguments)])


@pytest.fixture
def disclosed(command: Command, folder: Path, findings: Path, suite: Path, tmp_path: Path) -> Path:
    """A disclosure with everything, in the formats that need no further library."""
    (tmp_path / "statement.yaml").write_text(STATEMENT)
    formats = [word for name in ("html", "sarif", "json") for word in ("--format", name)]
    made = command(
        folder, "--ledger", suite, "--statement", "statement.yaml", "--day", "2026-11-21",
        "--out", "out", *formats,
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert [Path(line).name for line in made.stdout.splitlines()] == [
        "disclosure.html",
        "findings.sarif",
        "disclosure.json",
    ]
    return tmp_path / "out"


def test_a_disclosure_from_files(disclosed: Path) -> None:
    page = (disclosed / "disclosure.html").read_text()
    assert "The lamp was taken out of the release." in page
    assert "FINDING (located)" in page


def test_the_tomogram_is_left_as_it_was(command: Command, folder: Path, findings: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    made = command(folder, "--format", "json", "--json")
    assert json.loads(made.stdout) == {
        "files": ["stories.disclosure/disclosure.json"],
        "left_out": {},
    }
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_releases(command: Command, disclosed: Path, folder: Path) -> None:
    same = command("--diff", disclosed, disclosed / "disclosure.json")
    assert same.exit_code == 0, same.output
    assert "Lamps & Sons (declared in both)" in same.stdout
    found = json.loads(command("--diff", disclosed, folder, "--json", "--out", "diff").stdout)
    told = {each["what"]: each for each in found["changed"]}
    assert told["Suite lamps: consultations"]["after"] == "no ledger given"
    assert "Suite lamps" in Path("diff/difference.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere"], "no folder"),
        (["nowhere", "nowhere"], "One tomogram"),
        (["--diff", "nowhere"], "takes two"),
        (["nowhere", "--anchor", "a.json"], "more anchors"),
    ],
)
def test_mistakes(command: Command, arguments: list[str], complaint: str) -> None:
    result = command(*arguments)
    assert isinstance(result.exception, TomogramError)
    assert complaint in str(result.exception)


def test_rerun_needs_a_model(folder: Path) -> None:
    result = CliRunner().invoke(app, ["verify", str(folder), "--rerun"])
    assert isinstance(result.exception, TomogramError)
    assert "--model" in str(result.exception)


def test_rerun_of_a_damaged_folder_measures_nothing(folder: Path) -> None:
    (folder / "features" / "features.parquet").write_bytes(b"PAR2")
    result = CliRunner().invoke(app, ["verify", str(folder), "--rerun", "--model", "x", "--json"])
    assert result.exit_code == 1
    checks = {each["name"]: each for each in json.loads(result.stdout)["checks"]}
    assert checks["rerun"]["outcome"] == "could not be checked"
