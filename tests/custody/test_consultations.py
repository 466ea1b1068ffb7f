"""What a ledger tells of asks: none is missing, and none costs other than it did."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.custody.lamps import QUESTIONS, Hands, Lamp
from tomogram.custody.asking import ask
from tomogram.custody.consenting import give_consent
from tomogram.custody.consultations import suite_use
from tomogram.custody.keeping import rotate
from tomogram.custody.keys import Key, new_key
from tomogram.custody.refusal import Refused
from tomogram.store.errors import TomogramError


def test_a_suite_that_was_never_asked(suite: Path) -> None:
    use = suite_use(suite, questions=QUESTIONS)
    assert (use.suite, use.rows, use.consultations, use.refusals) == ("lamps", 1, (), ())
    assert [shard.name for shard in use.shards] == ["run-1", "run-2", "release"]
    assert [shard.reserved for shard in use.shards] == [False, False, True]
    assert {shard.draws for shard in use.shards} == {200}
    assert use.questions[0].meaning == "the lamp is always dark"


def test_each_ask_is_told_with_its_price(suite: Path, auditor: Key, clock: Hands) -> None:
    for dark in (0.1, 0.2, 0.3, 0.95):
        ask(suite, "darkness", Lamp(dark), [auditor], questions=QUESTIONS, clock=clock)
    use = suite_use(suite, questions={})
    assert [asked.answer for asked in use.consultations] == ["PASS", "PASS", "PASS", "ALARM"]
    assert [asked.row for asked in use.consultations] == [1, 3, 5, 7]
    # The first is free; with two allowed alarms k asks have k + k(k−1)/2 = 1, 3, 6, 10 pasts.
    assert [round(asked.bits, 3) for asked in use.consultations] == [0, 1.585, 1.0, 0.737]
    (first, *_) = use.shards
    assert first.bits == pytest.approx(sum(asked.bits for asked in use.consultations))
    assert (first.asks, first.alarms, first.aborted) == (4, 1, 0)
    assert use.questions[0].meaning == ""  # not installed, so nothing is claimed


def test_an_aborted_run_is_told_and_charged(suite: Path, auditor: Key, clock: Hands) -> None:
    ask(suite, "darkness", Lamp(0.1), [auditor], questions=QUESTIONS, clock=clock)
    with pytest.raises(RuntimeError):
        ask(suite, "darkness", _Dying(), [auditor], questions=QUESTIONS, clock=clock)
    use = suite_use(suite, questions=QUESTIONS)
    assert [asked.answer for asked in use.consultations] == ["PASS", None]
    assert use.shards[0].aborted == 1
    assert use.consultations[1].bits > 0


class _Dying:
    """A lamp that takes the whole run with it."""

    digest = "d" * 64
    dark = 0.5

    @property
    def powered(self) -> bool:
        raise RuntimeError("no power")


def test_refusals_are_counted_by_reason(suite: Path, auditor: Key, clock: Hands) -> None:
    for question in ("brightness", "brightness", "colour"):
        with pytest.raises(Refused):
            ask(suite, question, Lamp(0.1), [auditor], questions=QUESTIONS, clock=clock)
    refusals = suite_use(suite, questions=QUESTIONS).refusals
    assert [(r.reason, r.question, r.count) for r in refusals] == [
        ("unknown question", "brightness", 2),
        ("unknown question", "colour", 1),
    ]
    assert refusals[0].first < refusals[0].last


def test_who_agreed_from_afar_is_told(
    shared_suite: Path, auditor: Key, lab: Key, clock: Hands
) -> None:
    body = {"shard": "run-1", "question": "darkness", "model": Lamp(0.1).digest}
    given = give_consent(shared_suite, "ask", body, lab, auditor.identity, clock=clock)
    for lamp, keys, consents in ((Lamp(0.1), [auditor], [given]), (Lamp(0.2), [auditor, lab], ())):
        ask(
            shared_suite, "darkness", lamp, keys,
            questions=QUESTIONS, consents=consents, clock=clock,
        )  # fmt: skip
    told = suite_use(shared_suite, questions={}).consultations
    assert [asked.consents for asked in told] == [("lab",), ()]


def test_rotation_names_the_key_in_force(suite: Path, auditor: Key, clock: Hands) -> None:
    rotate(suite, auditor, new_key("next auditor", "2028-12-31"), clock=clock)
    use = suite_use(suite, questions=QUESTIONS)
    assert (use.rotations, use.custodians) == (1, ("next auditor",))


def test_a_copy_serves_and_is_not_written_to(suite: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(suite, copy)
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    for path in before:
        path.chmod(0o444)
    assert suite_use(copy, questions=QUESTIONS) == suite_use(suite, questions=QUESTIONS)
    assert before == {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}


def test_a_damaged_ledger_is_not_told_of(suite: Path, auditor: Key, clock: Hands) -> None:
    ask(suite, "darkness", Lamp(0.1), [auditor], questions=QUESTIONS, clock=clock)
    ledger = suite / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"PASS"', b'"ABSTAIN"'))
    with pytest.raises(TomogramError, match="cannot be trusted"):
        suite_use(suite, questions=QUESTIONS)
    ledger.write_bytes(b"")
    with pytest.raises(TomogramError, match="no rows"):
        suite_use(suite, questions=QUESTIONS)
