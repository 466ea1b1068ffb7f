"""The index says what the ledger says, whatever happened to it, and is never believed instead."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.custody.lamps import QUESTIONS, Hands, Lamp
from tomogram.custody.asking import ask
from tomogram.custody.index import index_path, look_up, refresh
from tomogram.custody.keys import Key
from tomogram.custody.ledger import rows
from tomogram.custody.suite import ledger_path
from tomogram.store.errors import TomogramError


@pytest.fixture
def asked(suite: Path, auditor: Key, clock: Hands) -> Path:
    for dark in (0.1, 0.2, 0.9):
        ask(suite, "darkness", Lamp(dark), [auditor], questions=QUESTIONS, clock=clock)
    return suite


def numbers(folder: Path, **wanted: str) -> list[int]:
    return [entry.number for entry in look_up(folder, **wanted)]


def agrees(folder: Path) -> bool:
    told = [(row.number, row.kind) for row in rows(ledger_path(folder))]
    return [(entry.number, entry.kind) for entry in reversed(look_up(folder))] == told


def test_rows_by_what_they_say(asked: Path) -> None:
    assert numbers(asked) == [6, 5, 4, 3, 2, 1, 0]
    assert numbers(asked, kind="answer") == [6, 4, 2]
    assert numbers(asked, model=Lamp(0.2).digest[:10]) == [4, 3]
    assert numbers(asked, question="darkness", kind="ask", shard="run-1") == [5, 3, 1]
    assert numbers(asked, shard="release") == []
    (latest, *_) = look_up(asked, limit=1)
    assert (latest.answer, latest.reason) == ("ALARM", "")


def test_only_new_rows_are_read(asked: Path, auditor: Key, clock: Hands) -> None:
    assert refresh(asked) == 7
    assert refresh(asked) == 0
    ask(asked, "darkness", Lamp(0.3), [auditor], questions=QUESTIONS, clock=clock)
    assert refresh(asked) == 2
    assert agrees(asked)


@pytest.mark.parametrize("damage", ["gone", "cut", "nonsense", "empty", "another database"])
def test_it_is_made_anew(asked: Path, damage: str) -> None:
    refresh(asked)
    path = index_path(asked)
    match damage:
        case "gone":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:5000])
        case "nonsense":
            path.write_bytes(b"nonsense" * 1000)
        case "empty":
            path.write_bytes(b"")
        case "another database":
            path.unlink()
            with closing(sqlite3.connect(path)) as database:
                database.executescript("CREATE TABLE rows (x); PRAGMA user_version = 7;")
    assert agrees(asked)


def test_an_older_ledger_put_back_is_followed(asked: Path, auditor: Key, clock: Hands) -> None:
    copy = asked.parent / "older.jsonl"
    shutil.copy(ledger_path(asked), copy)
    ask(asked, "darkness", Lamp(0.3), [auditor], questions=QUESTIONS, clock=clock)
    refresh(asked)
    shutil.copy(copy, ledger_path(asked))
    assert agrees(asked)


def test_another_ledger_that_is_longer_is_followed(
    asked: Path, auditor: Key, clock: Hands, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(asked, other)
    for dark in (0.3, 0.4):
        ask(asked, "darkness", Lamp(dark), [auditor], questions=QUESTIONS, clock=clock)
    refresh(asked)
    for dark in (0.25, 0.35, 0.45):
        ask(other, "darkness", Lamp(dark), [auditor], questions=QUESTIONS, clock=clock)
    shutil.copy(ledger_path(other), ledger_path(asked))
    assert agrees(asked)


def test_a_forged_index_changes_no_answer(asked: Path, auditor: Key, clock: Hands) -> None:
    refresh(asked)
    with closing(sqlite3.connect(index_path(asked))) as database, database:
        database.execute("UPDATE rows SET answer = 'PASS'")
    again = ask(asked, "darkness", Lamp(0.9), [auditor], questions=QUESTIONS, clock=clock)
    assert again.answer == "ALARM"


def test_a_damaged_ledger_is_not_indexed(asked: Path) -> None:
    ledger = ledger_path(asked)
    ledger.write_bytes(ledger.read_bytes().replace(b'"PASS"', b'"pass"', 1))
    with pytest.raises(TomogramError, match="cannot be trusted"):
        refresh(asked)
