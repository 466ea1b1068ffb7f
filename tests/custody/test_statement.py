"""Signed folders: every file counts, and so does whose signature it is."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from benchmarks.custody.alterations import lie_about_the_use, lines, rewrite
from benchmarks.custody.lamps import QUESTIONS, Hands, Lamp
from tomogram.custody.asking import ask
from tomogram.custody.keys import Key
from tomogram.custody.statement import (
    FILE,
    sign_folder,
    use_of,
    verify_folder,
    verify_use,
)
from tomogram.custody.verify import Outcome, accepted
from tomogram.store.errors import TomogramError


@pytest.fixture
def signed(tmp_path: Path, suite: Path, auditor: Key, clock: Hands) -> Path:
    """A folder with two files, signed with the use of a suite that was asked once."""
    ask(suite, "darkness", Lamp(0.9), [auditor], questions=QUESTIONS, clock=clock)
    folder = tmp_path / "evidence"
    (folder / "features").mkdir(parents=True)
    (folder / "tomogram.json").write_text("{}\n")
    (folder / "features" / "one.parquet").write_bytes(b"PAR1")
    sign_folder(folder, [use_of(suite)], auditor)
    return folder


def payload(folder: Path) -> dict:
    envelope = json.loads((folder / FILE).read_bytes())
    return json.loads(base64.b64decode(envelope["payload"]))


def test_an_honest_folder(signed: Path, auditor: Key) -> None:
    checks = verify_folder(signed, [auditor.identity])
    assert {check.outcome for check in checks} == {Outcome.REPRODUCED}
    assert Outcome.UNCHECKED in {check.outcome for check in verify_folder(signed, [])}


def test_the_statement_says_how_the_suite_was_used(signed: Path) -> None:
    (use,) = payload(signed)["predicate"]["uses"]
    assert use["shards"]["run-1"] == {
        "asks": 1,
        "answers": {"PASS": 0, "ALARM": 1, "ABSTAIN": 0},
        "never_answered": 0,
        "bits": 0.0,
        "burnt": False,
    }
    assert use["shards"]["release"]["asks"] == 0
    assert use["questions"] == {"darkness": {"version": 1, "threshold": 0.5}}


def test_in_toto_reads_it(signed: Path) -> None:
    statement = pytest.importorskip("in_toto_attestation.v1.statement")
    library = pytest.importorskip("google.protobuf.json_format")
    read = library.ParseDict(payload(signed), statement.Statement([], "", {}).pb)
    statement.Statement.copy_from_pb(read).validate()


@pytest.mark.parametrize("what", ["changed", "added", "removed", "renamed"])
def test_files(signed: Path, auditor: Key, what: str) -> None:
    file = signed / "tomogram.json"
    match what:
        case "changed":
            file.write_text("[]\n")
        case "added":
            (signed / "more.json").write_text("{}")
        case "removed":
            file.unlink()
        case "renamed":
            file.rename(signed / "other.json")
    checks = verify_folder(signed, [auditor.identity])
    assert not accepted(checks)
    assert "json" in checks[-1].reason


def test_every_byte_of_the_envelope_counts(signed: Path, auditor: Key) -> None:
    whole = (signed / FILE).read_bytes()
    for place in range(0, len(whole), 7):
        altered = bytearray(whole)
        altered[place] ^= 1
        (signed / FILE).write_bytes(altered)
        assert not accepted(verify_folder(signed, [auditor.identity])), place


def test_another_signer(signed: Path, auditor: Key, lab: Key) -> None:
    sign_folder(signed, [], lab)
    assert not accepted(verify_folder(signed, [auditor.identity]))
    assert accepted(verify_folder(signed, [lab.identity]))


def test_no_statement_and_nothing_to_sign(tmp_path: Path, auditor: Key) -> None:
    (check,) = verify_folder(tmp_path, [])
    assert check.outcome is Outcome.UNCHECKED
    with pytest.raises(TomogramError, match="nothing to sign"):
        sign_folder(tmp_path, [], auditor)


def test_the_use_it_tells_is_the_ledgers(
    signed: Path, suite: Path, auditor: Key, clock: Hands
) -> None:
    assert verify_use(signed, suite).outcome is Outcome.REPRODUCED
    ask(suite, "darkness", Lamp(0.1), [auditor], questions=QUESTIONS, clock=clock)
    later = verify_use(signed, suite)
    assert later.outcome is Outcome.REPRODUCED
    assert "1 asks came after" in later.reason
    rewrite(suite, lines(suite)[:2])
    assert verify_use(signed, suite).outcome is Outcome.DIFFERS


def test_a_lie_about_the_use_differs_though_it_is_rightly_signed(
    signed: Path, suite: Path, auditor: Key
) -> None:
    lie_about_the_use(signed, auditor)
    assert accepted(verify_folder(signed, [auditor.identity]))
    assert verify_use(signed, suite).outcome is Outcome.DIFFERS


def test_use_that_was_not_told(tmp_path: Path, suite: Path, auditor: Key) -> None:
    assert verify_use(tmp_path, suite).outcome is Outcome.UNCHECKED
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "report.html").write_text("<p>Nothing.</p>")
    sign_folder(folder, [], auditor)
    assert verify_use(folder, suite).outcome is Outcome.DIFFERS
