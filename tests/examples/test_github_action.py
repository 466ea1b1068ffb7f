"""The example of a GitHub Action: valid YAML whose commands this version has."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from tomogram.cli.main import app

FILE = Path(__file__).parents[2] / "examples" / "github-action" / "audit.yml"


@pytest.fixture(scope="module")
def steps() -> list[dict[str, str]]:
    read = yaml.safe_load(FILE.read_text())
    assert read["permissions"]["contents"] == "read"
    found: list[dict[str, str]] = read["jobs"]["audit"]["steps"]
    return found


def test_every_step_runs_or_uses_something(steps: list[dict[str, str]]) -> None:
    assert all(("run" in step) != ("uses" in step) for step in steps)


def test_its_commands_and_options_are_there(steps: list[dict[str, str]]) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    lines = [step["run"].strip() for step in steps if "run" in step]
    ours = [shlex.split(line) for line in lines if line.startswith("tomogram ")]
    assert [words[1] for words in ours] == ["audit", "compare"]
    for words in ours:
        known = {name for each in commands[words[1]].params for name in each.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_what_it_fails_on_is_what_compare_knows(steps: list[dict[str, str]]) -> None:
    from tomogram.pipeline.comparing import KINDS

    (line,) = [step["run"] for step in steps if "compare" in step.get("run", "")]
    words = shlex.split(line)
    assert set(words[words.index("--fail-on") + 1].split(",")) <= set(KINDS)
