"""The developer's own statement: what no scan can know, declared in a small YAML file.

Everything in it is shown as declared and never as measured. What it leaves out is "not stated".
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import (
    Field,
    NonNegativeInt,
    StringConstraints,
    ValidationError,
    field_validator,
)

from tomogram.disclosure.form import KEYS
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Record

Words = Annotated[str, StringConstraints(max_length=3_500)]
"""As long as every format shows whole."""


class Change(Record):
    """What the developer changed after one consultation of a sealed suite."""

    suite: str
    row: NonNegativeInt
    """The ask's row in the ledger."""
    changed: Annotated[Words, Field(min_length=1)]


class TrainingSignal(Record):
    """Whether anything that training optimised was computed with an instrument of the audit."""

    touched: bool
    how: Words = ""


class Statement(Record):
    """What the developer declares.

    form: items of the Model Documentation Form, by their keys (docs/disclosure.md).
    changes: what changed after which consultation.
    training_signal: None where nothing is stated.
    """

    form: dict[str, Words] = Field(default_factory=dict)
    licence: str = ""
    """SPDX identifier, such as Apache-2.0."""
    base_models: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    training_signal: TrainingSignal | None = None

    @field_validator("form", mode="before")
    @classmethod
    def _as_text(cls, form: object) -> object:
        """YAML reads `no`, `7` and a date as other things than text."""
        return (
            {key: _text(value) for key, value in form.items()} if isinstance(form, dict) else form
        )

    @field_validator("form")
    @classmethod
    def _known(cls, form: dict[str, str]) -> dict[str, str]:
        for key in form:
            if key not in KEYS:
                raise ValueError(f"the form has no item {key!r}")
        return form

    @field_validator("changes")
    @classmethod
    def _once(cls, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        if len({(change.suite, change.row) for change in changes}) < len(changes):
            raise ValueError("two changes are told of one ask")
        return changes

    def declared(self, key: str) -> str:
        """What is declared of one item of the form; empty where nothing is."""
        return self.form.get(key, "").strip()

    def changed_after(self, suite: str, row: int) -> str:
        """What is declared to have changed after one consultation; empty where nothing is."""
        told = (c.changed for c in self.changes if (c.suite, c.row) == (suite, row))
        return next(told, "")


def read_statement(path: Path) -> Statement:
    """Read a statement. Raises TomogramError where it is missing or does not fit the schema."""
    try:
        value = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise TomogramError(f"{path} is no statement: it could not be read as YAML.") from error
    try:
        # YAML has lists where the record has tuples, and dates where it has text.
        return Statement.model_validate(_plain(value or {}), strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise TomogramError(f"{path} is no statement: {place}: {first['msg']}.") from error


def check_changes(statement: Statement, asks: Iterable[tuple[str, int]]) -> None:
    """Check that every declared change follows an ask that was made.

    asks: names of suites and rows of their ledgers. Raises TomogramError where one does not.
    """
    known = set(asks)
    for change in statement.changes:
        if (change.suite, change.row) not in known:
            raise TomogramError(
                f"The statement tells of a change after row {change.row} of {change.suite},"
                " which is no ask of a ledger given here."
            )


def _plain(value: object) -> object:
    """The same value with keys, dates and fractions as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int) else str(value)


def _text(value: object) -> object:
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return ""
        case int():
            return str(value)
        case _:
            return value
