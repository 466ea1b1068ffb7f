"""The ledger's file: canonical, chained, and whole after crashes and crowds."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.custody.lamps import Hands
from tomogram.custody.keys import Key
from tomogram.custody.ledger import Broken, Ledger, _is_canonical, rows, unfinished
from tomogram.store.errors import TomogramError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127)), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.fixture
def ledger(tmp_path: Path, auditor: Key, clock: Hands) -> Ledger:
    made = Ledger(tmp_path / "ledger.jsonl", clock=clock)
    made.create({"suite": "0" * 64}, [auditor])
    return made


@given(VALUES)
def test_the_quick_check_agrees_with_the_library(value: object) -> None:
    line = rfc8785.dumps(value)  # type: ignore[arg-type]
    assert _is_canonical(line, value)
    assert not _is_canonical(line + b" ", value)


@pytest.mark.parametrize("value", [0.5, 2**53, float("nan"), {"é": 1}, "\ud800", {1: 2}, b"bytes"])
def test_what_has_no_place_in_a_row(value: object) -> None:
    assert not _is_canonical(json.dumps(str(value)).encode(), value)


def test_rows_are_chained_and_come_back(ledger: Ledger, auditor: Key) -> None:
    written = [ledger.append("note", {"text": "naïve \u2028 \x07"}, [auditor]) for _ in range(3)]
    read = list(rows(ledger.path))
    assert read[1:] == written
    assert [row.digest for row in read[1:]] == [row.digest for row in written]
    assert [row.previous for row in read[1:]] == [row.digest for row in read[:-1]]
    (signature,) = read[2].signatures.values()
    assert auditor.identity.signed(read[2].signed_bytes(), signature)
    for line in ledger.path.read_bytes().splitlines():
        assert rfc8785.dumps(json.loads(line)) == line


def test_a_fraction_is_refused_and_nothing_is_written(ledger: Ledger) -> None:
    before = ledger.path.read_bytes()
    with pytest.raises(ValueError, match="fractions"):
        ledger.append("note", {"x": 0.5})
    with pytest.raises(TomogramError, match="mebibyte"):
        ledger.append("note", {"x": "x" * (1 << 20)})
    assert ledger.path.read_bytes() == before


def test_every_thousandth_row_is_signed(ledger: Ledger, auditor: Key) -> None:
    quick = Ledger(ledger.path, clock=ledger.clock, durable=False)
    with quick.held() as held:
        for _ in range(999):
            held.append("note", {})
        with pytest.raises(TomogramError, match="must be signed"):
            held.append("note", {})
        assert held.append("checkpoint", {}, [auditor]).number == 1000


@pytest.mark.parametrize("left", [b"{", b'{"body":{}', b"\x00" * 5000])
def test_what_a_crash_left_is_removed_by_the_next_writer(ledger: Ledger, left: bytes) -> None:
    ledger.append("note", {"n": 1})
    whole = ledger.path.read_bytes()
    with ledger.path.open("ab") as file:
        file.write(left)
    assert len(list(rows(ledger.path))) == 2
    assert unfinished(ledger.path) == len(left)
    ledger.append("note", {"n": 2})
    assert ledger.path.read_bytes().startswith(whole)
    assert [row.body for row in rows(ledger.path)][1:] == [{"n": 1}, {"n": 2}]


def test_a_clock_that_was_set_back(ledger: Ledger, clock: Hands) -> None:
    last = ledger.append("note", {})
    clock.at = clock.at.replace(year=2025)
    with pytest.raises(TomogramError, match="before the ledger's last row"):
        ledger.append("note", {})
    clock.at = clock.at.replace(year=2026)
    assert ledger.append("note", {}).time >= last.time


def damage(ledger: Ledger, number: int, values: dict[str, object]) -> None:
    """Change fields of a row, in canonical form, without mending the chain."""
    lines = ledger.path.read_bytes().splitlines()
    lines[number] = rfc8785.dumps(json.loads(lines[number]) | values)  # type: ignore[operator]
    ledger.path.write_bytes(b"\n".join(lines) + b"\n")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"body": {"n": 7}}, "continue"),
        ({"number": 5}, "number"),
        ({"previous": "1" * 64}, "continue"),
        ({"time": "2025-01-01T00:00:00Z"}, "earlier"),
        ({"time": "2026-01-01"}, "not a row"),
        ({"extra": 1}, "not a row"),
        ({"number": True}, "not a row"),
        ({"signatures": ["x"]}, "not a row"),
    ],
)
def test_damage_names_the_row(ledger: Ledger, values: dict[str, object], reason: str) -> None:
    for n in range(3):
        ledger.append("note", {"n": n})
    damage(ledger, 2, values)
    with pytest.raises(Broken, match=reason):
        list(rows(ledger.path))


def test_spelling_counts(ledger: Ledger) -> None:
    ledger.append("note", {"n": 1})
    ledger.path.write_bytes(ledger.path.read_bytes().replace(b'"n":1', b'"n": 1'))
    with pytest.raises(Broken, match="canonical"):
        list(rows(ledger.path))


def test_missing_and_existing(tmp_path: Path, ledger: Ledger, auditor: Key) -> None:
    with pytest.raises(TomogramError, match="no ledger"):
        Ledger(tmp_path / "none.jsonl").append("note", {})
    with pytest.raises(TomogramError, match="exists"):
        ledger.create({}, [auditor])


def write_until_killed(path: Path, writer: int, acknowledged: Path, key: Key) -> None:
    ledger = Ledger(path)
    with acknowledged.open("ab", buffering=0) as file:
        for n in range(1_000_000):
            ledger.append("note", {"writer": writer, "n": n}, [key])
            file.write(b"%d\n" % n)


def test_killed_writers_lose_nothing_and_double_nothing(tmp_path: Path, auditor: Key) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path).create({}, [auditor])
    spawn = multiprocessing.get_context("fork")
    for run in range(6):
        files = [tmp_path / f"{run}-{i}" for i in range(3)]
        writers = [
            spawn.Process(target=write_until_killed, args=(path, 3 * run + i, file, auditor))
            for i, file in enumerate(files)
        ]
        for writer in writers:
            writer.start()
        time.sleep(0.05 * (run + 1))
        for writer in writers:
            assert writer.pid
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
    found = [(row.body["writer"], row.body["n"]) for row in rows(path) if row.kind == "note"]
    assert len(set(found)) == len(found)
    for run in range(6):
        for i in range(3):
            file = tmp_path / f"{run}-{i}"
            said = file.read_bytes().split() if file.exists() else []
            assert {(3 * run + i, int(n)) for n in said} <= set(found)
