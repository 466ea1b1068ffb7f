"""Verification: honest files pass, altered ones differ, and what was not looked at says so."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import rfc8785

from benchmarks.custody.alterations import (
    DESIGNED,
    lines,
    rechain,
    remove_a_shard,
    rewrite,
)
from benchmarks.custody.lamps import QUESTIONS, Darkness, Hands, Lamp
from tests.custody.conftest import TERMS
from tomogram.custody import keeping
from tomogram.custody import suite as suites
from tomogram.custody.anchor import Anchor, anchor
from tomogram.custody.asking import ask
from tomogram.custody.keys import Key, new_key
from tomogram.custody.ledger import Ledger, rows
from tomogram.custody.verify import (
    Check,
    Outcome,
    accepted,
    read_opened,
    verify_answers,
    verify_sealed,
    verify_suite,
)


@pytest.fixture
def used(suite: Path, auditor: Key, clock: Hands) -> Path:
    """The suite after three asks and a note."""
    for dark in (0.1, 0.2, 0.9):
        ask(suite, "darkness", Lamp(dark), [auditor], questions=QUESTIONS, clock=clock)
    Ledger(suite / "ledger.jsonl", clock=clock).append("note", {"run": "one"})
    return suite


@pytest.fixture
def kept(used: Path, tmp_path: Path, clock: Hands) -> Anchor:
    """The ledger's head after that, kept elsewhere."""
    return anchor(used, tmp_path / "anchor.json", clock=clock)


def outcomes(checks: Sequence[Check]) -> dict[str, Outcome]:
    return {check.name: check.outcome for check in checks}


def test_an_honest_suite(used: Path, kept: Anchor, auditor: Key) -> None:
    checks = verify_suite(used, anchor=kept, identities=[auditor.identity])
    assert set(outcomes(checks).values()) == {Outcome.REPRODUCED}
    assert set(outcomes(verify_sealed(used, [auditor])).values()) == {Outcome.REPRODUCED}


def test_what_was_not_looked_at_says_so(used: Path) -> None:
    found = outcomes(verify_suite(used))
    assert found["completeness"] is found["custodians"] is Outcome.UNCHECKED
    assert accepted(verify_suite(used))


def test_rows_after_the_anchor_are_the_exposed_window(
    used: Path, kept: Anchor, clock: Hands
) -> None:
    Ledger(used / "ledger.jsonl", clock=clock).append("note", {})
    (reason,) = [c.reason for c in verify_suite(used, anchor=kept) if c.name == "completeness"]
    assert "exposed window: 1 rows" in reason


def test_a_crash_is_neither_accepted_nor_called_tampering(used: Path, kept: Anchor) -> None:
    with (used / "ledger.jsonl").open("ab") as file:
        file.write(b'{"body"')
    checks = verify_suite(used, anchor=kept)
    assert outcomes(checks)["ledger"] is Outcome.UNCHECKED
    assert accepted(checks)


@pytest.mark.parametrize("alter", DESIGNED)
def test_designed_alterations_differ(
    used: Path, kept: Anchor, auditor: Key, alter: Callable[[Path], None]
) -> None:
    alter(used)
    checks = verify_suite(used, anchor=kept, identities=[auditor.identity])
    assert set(outcomes(checks).values()) != {Outcome.REPRODUCED}
    # A file that is merely not here is told as such: copies to follow with have no shards.
    assert accepted(checks) is (alter is remove_a_shard)


def test_a_budget_rolled_back_to_an_old_copy(
    suite: Path, tmp_path: Path, auditor: Key, clock: Hands
) -> None:
    old = shutil.copytree(suite, tmp_path / "old")
    ask(suite, "darkness", Lamp(0.9), [auditor], questions=QUESTIONS, clock=clock)
    head = anchor(suite, tmp_path / "anchor.json", clock=clock)
    assert not accepted(verify_suite(old, anchor=head))
    assert outcomes(verify_suite(old))["completeness"] is Outcome.UNCHECKED


def test_a_suite_forged_with_another_key(
    used: Path, kept: Anchor, tmp_path: Path, auditor: Key, clock: Hands
) -> None:
    forged, other = tmp_path / "forged", new_key("auditor", "2027-12-31")
    suites.new(forged, "lamps", {Darkness(): 0.5}, TERMS, key=other, clock=clock)
    assert accepted(verify_suite(forged))
    assert not accepted(verify_suite(forged, identities=[auditor.identity]))
    assert not accepted(verify_suite(forged, anchor=kept))


def test_random_alterations_are_never_accepted_whole(
    used: Path, kept: Anchor, tmp_path: Path, auditor: Key
) -> None:
    """Any byte of any file: something differs, or (an unfinished last row) cannot be checked."""
    chance = random.Random(1)
    files = sorted(path.relative_to(used) for path in used.rglob("*") if path.is_file())
    for _ in range(150):
        copy = shutil.copytree(used, tmp_path / "copy", dirs_exist_ok=True)
        path = copy / chance.choice(files)
        data = bytearray(path.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        checks = verify_suite(copy, anchor=kept, identities=[auditor.identity])
        assert set(outcomes(checks).values()) != {Outcome.REPRODUCED}, path


def test_an_overdrawn_budget_differs_even_with_every_signature(
    used: Path, auditor: Key, clock: Hands
) -> None:
    """The custodian himself cannot hide that he asked too often."""
    ledger = Ledger(used / "ledger.jsonl", clock=clock)
    for i in range(2):
        body = {"shard": "run-1", "question": "darkness", "model": f"{i}" * 64}
        ledger.append("ask", body, [auditor])
        ledger.append("answer", {**body, "answer": "ALARM"}, [auditor])
    checks = verify_suite(used, identities=[auditor.identity])
    assert "budget" in next(check.reason for check in checks if check.name == "ledger")
    assert not accepted(checks)


def test_an_answer_to_nothing_differs(used: Path, auditor: Key, clock: Hands) -> None:
    body = {"shard": "run-1", "question": "darkness", "model": "0" * 64, "answer": "PASS"}
    Ledger(used / "ledger.jsonl", clock=clock).append("answer", body, [auditor])
    assert not accepted(verify_suite(used))


def test_burnt_draws_fit_their_commitment(
    used: Path, tmp_path: Path, auditor: Key, clock: Hands
) -> None:
    keeping.burn(used, "run-2", "treatment", [auditor], tmp_path / "draws.json", clock=clock)
    opened = read_opened(tmp_path / "draws.json")
    assert outcomes(verify_suite(used, opened=[opened]))["draws of run-2"] is Outcome.REPRODUCED
    other = replace(opened.leaves[1], value={"question": "darkness", "draw": {"night": 0.0}})
    forged = replace(opened, leaves=(opened.leaves[0], other, *opened.leaves[2:]))
    assert not accepted(verify_suite(used, opened=[forged]))


def test_measuring_again(used: Path, auditor: Key) -> None:
    (check,) = verify_answers(used, Lamp(0.2), [auditor], QUESTIONS)
    assert check.outcome is Outcome.REPRODUCED
    (check,) = verify_answers(used, Lamp(0.3), [auditor], QUESTIONS)
    assert check.outcome is Outcome.UNCHECKED

    class Liar(Darkness):
        def measure(self, model: Lamp, draws: Sequence) -> list[float | None]:
            return [1.0 for _ in draws]

    (check,) = verify_answers(used, Lamp(0.2), [auditor], {"darkness": Liar()})
    assert check.outcome is Outcome.DIFFERS


def test_a_burnt_shards_answers_are_measured_again_without_a_key(
    used: Path, auditor: Key, tmp_path: Path, clock: Hands
) -> None:
    """Once its draws are public, anybody can: the noise's key is among them."""
    out = tmp_path / "draws.json"
    keeping.burn(used, "run-1", "published", [auditor], out, clock=clock)
    opened = [read_opened(out)]
    for dark in (0.1, 0.2, 0.9):
        (check,) = verify_answers(used, Lamp(dark), [], QUESTIONS, opened=opened)
        assert check.outcome is Outcome.REPRODUCED
    (check,) = verify_answers(used, Lamp(0.1), [], QUESTIONS)
    assert check.outcome is Outcome.UNCHECKED
    turned = [json.loads(line) for line in lines(used)]
    turned[2]["body"]["answer"] = "ALARM"
    rewrite(used, [rfc8785.dumps(row) for row in turned])
    rechain(used, lines(used), auditor)
    (check,) = verify_answers(used, Lamp(0.1), [], QUESTIONS, opened=opened)
    assert check.outcome is Outcome.DIFFERS


def test_an_exchanged_key_signs_from_then_on(used: Path, auditor: Key, clock: Hands) -> None:
    new = new_key("auditor", "2029-12-31")
    keeping.rotate(used, auditor, new, clock=clock)
    ask(used, "darkness", Lamp(0.3), [new], questions=QUESTIONS, clock=clock)
    assert accepted(verify_suite(used, identities=[auditor.identity]))
    assert accepted(verify_sealed(used, [new]))
    Ledger(used / "ledger.jsonl", clock=clock).append("checkpoint", {}, [auditor])
    assert not accepted(verify_suite(used))


def test_a_row_signed_after_the_last_day_differs(used: Path, auditor: Key) -> None:
    late = Hands()
    late.at = late.at.replace(year=2028)
    Ledger(used / "ledger.jsonl", clock=late).append("checkpoint", {}, [auditor])
    reason = next(c.reason for c in verify_suite(used) if c.name == "ledger")
    assert "last day" in reason


def test_every_row_of_an_honest_ledger_is_read(used: Path) -> None:
    assert [row.kind for row in rows(used / "ledger.jsonl")] == [
        "suite",
        *["ask", "answer"] * 3,
        "note",
    ]
