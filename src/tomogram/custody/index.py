"""An index of a ledger in SQLite, for looking rows up. It is trusted for nothing.

Asking, verifying and disclosing read the ledger itself. The index is made from it, goes on from
where it stopped while the ledger grew, and is made anew where it does not fit the ledger, or is
damaged or missing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tomogram.custody.ledger import BEGINNING, Broken, Held, Ledger, Place, Row
from tomogram.custody.suite import ledger_path
from tomogram.store.atomic import explained
from tomogram.store.errors import TomogramError

_VERSION = 1
_SCHEMA = f"""
CREATE TABLE rows (
    number INTEGER PRIMARY KEY, time TEXT, kind TEXT, shard TEXT, question TEXT, model TEXT,
    answer TEXT, reason TEXT, signatures INTEGER
);
CREATE INDEX by_model ON rows (model);
CREATE INDEX by_question ON rows (question);
CREATE INDEX by_kind ON rows (kind);
CREATE TABLE place (offset INTEGER, number INTEGER, previous TEXT, time TEXT);
PRAGMA user_version = {_VERSION};
"""
_COLUMNS = ("number", "time", "kind", "shard", "question", "model", "answer", "reason")
_BODY = ("shard", "question", "model", "answer", "reason")


@dataclass(frozen=True)
class Entry:
    """A row of the ledger as the index has it; fields that it does not have are empty."""

    number: int
    time: str
    kind: str
    shard: str
    question: str
    model: str
    answer: str
    reason: str


def index_path(folder: Path) -> Path:
    """Where a suite keeps the index of its ledger."""
    return folder / "ledger.index.sqlite"


def refresh(folder: Path) -> int:
    """Bring a suite's index up to its ledger, and return how many rows had to be read.

    Raises TomogramError where there is no ledger, a row does not continue the one before it, or
    the index cannot be written.
    """
    path = index_path(folder)
    with Ledger(ledger_path(folder)).held() as held, explained(path):
        try:
            return _extended(path, held)
        except sqlite3.DatabaseError:  # damaged, or something else altogether
            path.unlink(missing_ok=True)
            try:
                return _extended(path, held)
            except sqlite3.DatabaseError as error:
                raise TomogramError(f"{path} cannot be written: {error}.") from error


def look_up(
    folder: Path,
    *,
    kind: str | None = None,
    shard: str | None = None,
    question: str | None = None,
    model: str | None = None,
    limit: int = 1000,
) -> list[Entry]:
    """The rows with these properties, the latest first. The index is brought up to date before.

    model: the beginning of its digest.

    Raises the errors of `refresh`.
    """
    refresh(folder)
    wanted = {"kind": kind, "shard": shard, "question": question}
    exact = {name: value for name, value in wanted.items() if value is not None}
    conditions = [f"{name} = ?" for name in exact]
    values: list[str | int] = list(exact.values())
    if model is not None:
        conditions.append("substr(model, 1, ?) = ?")
        values += [len(model), model]
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    query = f"SELECT {', '.join(_COLUMNS)} FROM rows {where} ORDER BY number DESC LIMIT ?"
    with closing(sqlite3.connect(index_path(folder))) as database:
        return [Entry(*row) for row in database.execute(query, [*values, limit])]


def _extended(path: Path, held: Held) -> int:
    with closing(sqlite3.connect(path)) as database:
        start = _fitting(database, held)
        try:
            return _append(database, held, start)
        except Broken as error:
            if start == BEGINNING:
                raise TomogramError(
                    f"The ledger cannot be trusted: {error}; `tomogram verify` says more."
                ) from error
        # The index was made from another ledger than the one that lies here now.
        _emptied(database)
        try:
            return _append(database, held, BEGINNING)
        except Broken as error:
            raise TomogramError(
                f"The ledger cannot be trusted: {error}; `tomogram verify` says more."
            ) from error


def _fitting(database: sqlite3.Connection, held: Held) -> Place:
    """Where to go on; the beginning, with empty tables, where the index does not fit the ledger."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == _VERSION:
        found = database.execute("SELECT offset, number, previous, time FROM place").fetchone()
        end = held.end()
        if found is not None and Place(*found) == end:
            return end
        if found is not None and found[0] < end.offset:
            return Place(*found)
    _emptied(database)
    return BEGINNING


def _emptied(database: sqlite3.Connection) -> None:
    tables = [
        name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    for name in tables:
        database.execute(f'DROP TABLE "{name}"')
    database.executescript(_SCHEMA)


def _append(database: sqlite3.Connection, held: Held, start: Place) -> int:
    """Add the rows after a place and note where they end: both or neither."""
    end = held.end()
    before = database.total_changes
    with database:
        database.executemany(
            f"INSERT INTO rows VALUES ({', '.join('?' * 9)})", _values(held.rows(start))
        )
        added = database.total_changes - before
        database.execute("DELETE FROM place")
        database.execute(
            "INSERT INTO place VALUES (?, ?, ?, ?)",
            (end.offset, end.number, end.previous, end.time),
        )
    return added


def _values(rows: Iterable[Row]) -> Iterator[tuple[int | str, ...]]:
    for row in rows:
        body = (str(row.body.get(name, "")) for name in _BODY)
        yield (row.number, row.time, row.kind, *body, len(row.signatures))
