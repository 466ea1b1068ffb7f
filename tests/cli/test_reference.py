"""`tomogram reference` from outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def tomogram(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tomogram", *arguments], capture_output=True, text=True
    )


def test_help_names_the_commands() -> None:
    done = tomogram("reference", "--help")
    assert done.returncode == 0
    assert "build" in done.stdout
    assert "measure" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("build", "sibling-99", "--out", "OUT"), "There is no recipe 'sibling-99'"),
        (("measure", "OUT/nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    done = tomogram("reference", *(each.replace("OUT", str(tmp_path)) for each in arguments))
    assert done.returncode == 2
    assert done.stdout == ""
    assert sentence in done.stderr
    assert done.stderr.startswith("tomogram: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
