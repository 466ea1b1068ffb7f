"""The command from outside: fast help, exit codes, one sentence for an error."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tomogram.cli.main import app

HELP_WITHOUT_TORCH = """
import sys
import tomogram, tomogram.cli.main
dir(tomogram), tomogram.TomogramError
try:
    sys.argv = ["tomogram", "--help"]
    tomogram.cli.main.main()
except SystemExit as end:
    assert end.code == 0, end.code
heavy = {"torch", "transformers", "numpy", "pyarrow", "pydantic"} & set(sys.modules)
assert not heavy, heavy
"""

# An app whose command fails in a chosen way, to see what the entry point makes of it.
FAILING = """
import sys
import tomogram.cli.main as cli
from tomogram.store.errors import TomogramError

@cli.app.command()
def fail():
    raise {error}

sys.argv = ["tomogram", "fail"]
cli.main()
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True)


def tomogram(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("-m", "tomogram", *arguments)


def test_help_imports_nothing_heavy() -> None:
    done = run("-c", HELP_WITHOUT_TORCH)
    assert done.returncode == 0, done.stderr
    assert "doctor" in done.stdout


def test_help_answers_at_once() -> None:
    def seconds() -> float:
        """Processor time of one call: wall time would count other work on the machine, too."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert tomogram("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.3


def test_every_command_has_help() -> None:
    def paths(command: Any, *names: str) -> Iterator[tuple[str, ...]]:
        yield names
        for name, own in getattr(command, "commands", {}).items():
            yield from paths(own, *names, name)

    found = list(paths(get_command(app)))
    assert {("scan",), ("seal", "ask"), ("organism", "plant")} <= set(found)
    for names in found:
        answer = CliRunner().invoke(app, [*names, "--help"])
        assert answer.exit_code == 0, (names, answer.exception)
        assert "Usage" in answer.output


def test_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert tomogram("--version").stdout == f"tomogram {version('tomogram')}\n"


@pytest.mark.parametrize(
    ("error", "code", "stderr"),
    [
        ("TomogramError('There is no folder x.')", 2, "tomogram: There is no folder x.\n"),
        ("KeyboardInterrupt", 130, None),
        ("ValueError('a bug')", 1, None),
    ],
)
def test_exit_codes(error: str, code: int, stderr: str | None) -> None:
    done = run("-c", FAILING.format(error=error))
    assert done.returncode == code
    assert done.stdout == ""
    if stderr is not None:
        assert done.stderr == stderr
    assert ("Traceback" in done.stderr) == (code == 1)


def test_wrong_usage_is_exit_code_2() -> None:
    done = tomogram("no-such-command")
    assert done.returncode == 2
    assert "no-such-command" in done.stderr


def test_doctor_prints_json_and_text() -> None:
    examination = json.loads(tomogram("doctor", "--json").stdout)
    text = tomogram("doctor").stdout
    assert examination["devices"][0]["name"] == "cpu"
    assert f"{examination['cores']} usable" in text
    assert examination["packages"]["torch"] in text
