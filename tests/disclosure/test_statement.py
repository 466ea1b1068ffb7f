"""What a developer declares is read strictly, and never more is read than stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tomogram.disclosure.form import ITEMS, KEYS
from tomogram.disclosure.statement import Statement, check_changes, read_statement
from tomogram.store.errors import TomogramError


def read(tmp_path: Path, text: str) -> Statement:
    path = tmp_path / "statement.yaml"
    path.write_text(text)
    return read_statement(path)


def test_everything_in_it_is_kept(statement: Statement) -> None:
    assert statement.licence == "Apache-2.0"
    assert statement.training_signal is not None
    assert not statement.training_signal.touched
    assert statement.declared("provider") == "Lamps & Sons"
    assert statement.declared("energy") == ""
    assert statement.changed_after("lamps", 3) == "The lamp was taken out of the release."
    assert statement.changed_after("lamps", 1) == ""


@pytest.mark.parametrize(
    ("yaml", "read_as"),
    [("2026-11-20", "2026-11-20"), ("no", "no"), ("42", "42"), ("7.5", "7.5"), ("", "")],
)
def test_values_that_yaml_takes_for_something_else(tmp_path: Path, yaml: str, read_as: str) -> None:
    assert read(tmp_path, f"form:\n  release_date: {yaml}\n").declared("release_date") == read_as


def test_an_empty_file_declares_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "") == Statement()
    assert Statement().training_signal is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("form: {colour: red}", "no item 'colour'"),
        ("licence: [a, b]", "licence"),
        ("training_signal: {touched: perhaps}", "touched"),
        ("changes: [{suite: a, row: -1, changed: x}]", "row"),
        ("changes: [{suite: a, row: 1, changed: ''}]", "changed"),
        (2 * "- {suite: a, row: 1, changed: x}\n", "whole file"),
        ("changes: [{suite: a, row: 1, changed: x}, {suite: a, row: 1, changed: y}]", "one ask"),
        (f"form: {{provider: {'x' * 4000}}}", "provider"),
        ("unknown: 1", "unknown"),
        ("- a\n- b", "whole file"),
        ("a: [", "YAML"),
        ("!!python/object/apply:os.system [ls]", "YAML"),
    ],
)
def test_what_is_no_statement_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(TomogramError, match=complaint):
        read(tmp_path, text)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match="could not be read"):
        read_statement(tmp_path / "none.yaml")


def test_a_change_must_follow_an_ask(statement: Statement) -> None:
    check_changes(statement, [("lamps", 1), ("lamps", 3)])
    for asks in ([], [("lamps", 1)], [("lights", 3)]):
        with pytest.raises(TomogramError, match="row 3 of lamps"):
            check_changes(statement, asks)


def test_the_form_has_each_item_once_and_for_somebody() -> None:
    assert len(KEYS) == len(ITEMS)
    assert all(item.audiences for item in ITEMS)
