"""The formats by name: what is written, what is left out, what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tomogram.disclosure.facts import Facts, read_facts
from tomogram.disclosure.formats import FORMATS, write
from tomogram.store.errors import TomogramError

PLAIN = ("html", "model-card", "sarif", "eu-form", "json")
"""Formats that need nothing beyond Tomogram itself."""


@pytest.mark.parametrize("name", PLAIN)
def test_each_plain_format_writes_its_files(facts: Facts, tmp_path: Path, name: str) -> None:
    written = write(facts, [name], tmp_path / "out")
    assert {path.name for path in written.files} == set(FORMATS[name])
    assert all(path.stat().st_size > 1000 for path in written.files)
    assert written.left_out == {}


def test_the_facts_are_written_whole(facts: Facts, tmp_path: Path) -> None:
    (path,) = write(facts, ["json"], tmp_path).files
    assert read_facts(path) == facts


def test_all_leaves_out_what_cannot_be_written(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("reportlab", "cyclonedx.output.json", "inspect_ai.log"):
        monkeypatch.setitem(sys.modules, library, None)
    written = write(facts, ["all"], tmp_path)
    assert set(written.left_out) == {"pdf", "cyclonedx", "inspect"}
    assert all("pip install" in reason for reason in written.left_out.values())
    assert {path.name for path in written.files} == {
        file for name in PLAIN for file in FORMATS[name]
    }


def test_a_format_that_was_named_must_be_written(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "reportlab", None)
    with pytest.raises(TomogramError, match="extra"):
        write(facts, ["pdf"], tmp_path)
    with pytest.raises(TomogramError, match="extra"):
        write(facts, ["all", "pdf"], tmp_path)


def test_an_unknown_format(facts: Facts, tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match="no format docx"):
        write(facts, ["html", "docx"], tmp_path)
    assert not list(tmp_path.glob("disclosure.html"))


def test_a_place_that_cannot_be_written(facts: Facts, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TomogramError):
        write(facts, ["all"], tmp_path / "file" / "below")
