"""`tomogram graph` from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.circuits.graph.test_foreign import foreign
from tomogram.circuits.graph.export import read_graph
from tomogram.cli.main import app
from tomogram.store.errors import TomogramError


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["graph", *arguments])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_a_graph_of_another_tool_becomes_one_of_ours(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.json", tmp_path / "ours.json"
    theirs.write_text(json.dumps(foreign()))
    said = run(str(theirs), "--out", str(ours))
    assert "(not checked)" in said
    assert "feature 1/7 at 1 “b”" in said
    assert "1 supernodes proposed" in said
    graph, _ = read_graph(ours)
    assert graph.n_edges == 4
    assert graph.supernodes[0].label == "group"
    assert json.loads(run(str(ours), "--json"))["qParams"]["supernodes"] == [
        ["group", "1_7_1", "0_5_0"]
    ]


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match="could not be read"):
        run(str(tmp_path / "nothing.json"))
    (tmp_path / "text.json").write_text("no graph")
    with pytest.raises(TomogramError, match="is not JSON"):
        run(str(tmp_path / "text.json"))
