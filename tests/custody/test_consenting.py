"""Two custodians on two machines: consents, what they allow, and ledgers that go back and forth."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import rfc8785

from benchmarks.custody.alterations import lines, rechain, rewrite
from benchmarks.custody.lamps import QUESTIONS, Darkness, Hands, Lamp
from tests.custody.conftest import TERMS
from tomogram.custody import keeping
from tomogram.custody import suite as suites
from tomogram.custody.asking import Reply, ask
from tomogram.custody.consent import Given, read_consent, write_consent
from tomogram.custody.consenting import follow, give_consent
from tomogram.custody.history import Answer
from tomogram.custody.keys import Identity, Key, new_key
from tomogram.custody.ledger import Ledger, rows
from tomogram.custody.refusal import Refused
from tomogram.custody.verify import (
    Outcome,
    accepted,
    read_opened,
    verify_answers,
    verify_sealed,
    verify_suite,
)
from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError

LAMP = Lamp(0.2)


@pytest.fixture
def copy(shared_suite: Path, tmp_path: Path) -> Path:
    """The lab's copy of the public files: no shards, and only its own share."""
    folder = tmp_path / "lab" / "suite"
    shutil.copytree(shared_suite, folder)
    shutil.rmtree(folder / "shards")
    return folder


def agree(
    folder: Path,
    key: Key,
    to: Identity,
    *,
    lamp: Lamp = LAMP,
    shard: str = "run-1",
    question: str = "darkness",
    clock: Hands | None = None,
    days: int = 7,
) -> Given:
    body = {"shard": shard, "question": question, "model": lamp.digest}
    return give_consent(folder, "ask", body, key, to, days=days, clock=clock or Hands())


def put(folder: Path, key: Key, *consents: Given, **change: object) -> Reply:
    arguments: dict[str, object] = {"questions": QUESTIONS, "clock": Hands(), "lamp": LAMP}
    arguments |= {"question": "darkness"} | change
    lamp, question = arguments.pop("lamp"), arguments.pop("question")
    return ask(folder, question, lamp, [key], consents=consents, **arguments)  # type: ignore[arg-type]


def reason_of(attempt: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refused:
        attempt()
    return refused.value.reason


def test_an_ask_with_the_other_key_elsewhere(
    shared_suite: Path, copy: Path, auditor: Key, lab: Key, tmp_path: Path
) -> None:
    path = tmp_path / "consent.json"
    write_consent(agree(copy, lab, auditor.identity), path)
    reply = put(shared_suite, auditor, read_consent(path))
    assert (reply.answer, reply.recorded) == (Answer.PASS, False)
    _, asked, answered = rows(shared_suite / "ledger.jsonl")
    assert set(asked.signatures) == set(answered.signatures) == {auditor.identity.fingerprint}
    assert set(asked.body["consents"]) == {lab.identity.fingerprint}  # type: ignore[arg-type]
    checks = verify_suite(shared_suite, identities=[auditor.identity, lab.identity])
    assert accepted(checks)
    # Nothing in the ledger opens anything: the part is there as a digest alone.
    assert read_consent(path).sealed_part.hex() not in (shared_suite / "ledger.jsonl").read_text()


def test_both_ways(shared_suite: Path, copy: Path, auditor: Key, lab: Key) -> None:
    """Whoever has shards and model may act; the answer is the one that both keys together give."""
    shutil.copytree(shared_suite / "shards", copy / "shards")
    words = {
        put(copy, lab, agree(shared_suite, auditor, lab.identity)).answer,
        put(shared_suite, auditor, agree(shared_suite, lab, auditor.identity)).answer,
    }
    assert words == {Answer.PASS}


def test_it_allows_what_it_names_and_nothing_else(
    shared_suite: Path, copy: Path, auditor: Key, lab: Key
) -> None:
    given = agree(copy, lab, auditor.identity)
    stranger = new_key("stranger", "2027-12-31")
    other_suite = shared_suite.parent / "other"
    suites.new(
        other_suite, "lamps", {Darkness(): 0.5}, TERMS, key=auditor, others=[lab.identity],
        clock=Hands(),
    )  # fmt: skip
    forged = replace(given, signature=auditor.sign(given.consent.signed_bytes()))
    for consent, change in (
        (given, {"lamp": Lamp(0.3)}),
        (given, {"shard": "run-2"}),
        (given, {"shard": "release"}),
        (given, {"question": "brightness"}),
        (agree(other_suite, lab, auditor.identity), {}),
        (agree(copy, auditor, lab.identity), {}),  # the asker's own: not the one that is missing
        (forged, {}),
        (replace(given, by=stranger.identity.fingerprint), {}),
    ):
        reason = reason_of(lambda: put(shared_suite, auditor, consent, **change))  # noqa: B023
        assert reason == ("missing party" if consent.by == auditor.identity.fingerprint else
                          "wrong consent")  # fmt: skip
    assert reason_of(lambda: put(shared_suite, auditor)) == "missing party"
    assert reason_of(lambda: put(shared_suite, stranger, given)) == "wrong key"
    assert [row.kind for row in rows(shared_suite / "ledger.jsonl")][1:] == ["refusal"] * 10
    assert put(shared_suite, auditor, given).answer is Answer.PASS


def test_it_expires_and_so_do_keys(shared_suite: Path, copy: Path, auditor: Key, lab: Key) -> None:
    given, late, later = agree(copy, lab, auditor.identity, days=1), Hands(), Hands()
    late.at, later.at = late.at.replace(day=3), late.at.replace(year=2028)
    attempt = reason_of(lambda: put(shared_suite, auditor, given, clock=late))
    assert attempt == "expired consent"
    long = agree(copy, lab, auditor.identity, days=5000)
    assert reason_of(lambda: put(shared_suite, auditor, long, clock=later)) == "expired key"
    with pytest.raises(TomogramError, match="expired"):
        agree(copy, lab, auditor.identity, clock=later)


def test_it_is_given_by_a_custodian_to_another(shared_suite: Path, auditor: Key, lab: Key) -> None:
    stranger = new_key("stranger", "2027-12-31")
    for key, to, clause in (
        (stranger, auditor, "no custodian"),
        (lab, stranger, "no custodian"),
        (lab, lab, "not to oneself"),
    ):
        with pytest.raises(TomogramError, match=clause):
            agree(shared_suite, key, to.identity)
    for change in ({"shard": "run-9"}, {"question": "brightness"}):
        with pytest.raises(TomogramError, match="The suite has no"):
            agree(shared_suite, lab, auditor.identity, **change)  # type: ignore[arg-type]


def test_a_copy_without_shards_refuses_and_charges_nothing(copy: Path, lab: Key) -> None:
    before = (copy / "ledger.jsonl").read_bytes()
    with pytest.raises(TomogramError, match="lacks the file"):
        put(copy, lab)
    assert (copy / "ledger.jsonl").read_bytes() == before


def test_an_older_ledger_put_back_does_not_fit_the_consent(
    shared_suite: Path, copy: Path, auditor: Key, lab: Key
) -> None:
    """The auditor asks, hides that, and asks for another consent."""
    old = (shared_suite / "ledger.jsonl").read_bytes()
    put(shared_suite, auditor, agree(copy, lab, auditor.identity))
    follow(copy, shared_suite / "ledger.jsonl")
    (shared_suite / "ledger.jsonl").write_bytes(old)
    fresh = agree(copy, lab, auditor.identity, lamp=Lamp(0.3))
    attempt = reason_of(lambda: put(shared_suite, auditor, fresh, lamp=Lamp(0.3)))
    assert attempt == "other ledger"
    with pytest.raises(TomogramError, match="does not begin with"):
        follow(copy, shared_suite / "ledger.jsonl")


class Stuck(Darkness):
    """Measures until somebody kills it."""

    def measure(self, model: Lamp, draws: Sequence[Json]) -> list[float | None]:
        os.kill(os.getpid(), signal.SIGKILL)
        return []


def test_a_killed_ask_is_finished_with_the_same_consent_later(
    shared_suite: Path, copy: Path, auditor: Key, lab: Key
) -> None:
    given = agree(copy, lab, auditor.identity, days=1)
    process = multiprocessing.get_context("fork").Process(
        target=put,
        args=(shared_suite, auditor, given),
        kwargs={"questions": {"darkness": Stuck()}},
    )
    process.start()
    process.join()
    assert [row.kind for row in rows(shared_suite / "ledger.jsonl")] == ["suite", "ask"]
    late = Hands()
    late.at = late.at.replace(day=20)
    assert put(shared_suite, auditor, given, clock=late).answer is Answer.PASS
    assert keeping.standing(shared_suite)[0].asks == 1
    assert accepted(verify_suite(shared_suite))


def test_a_burn_by_consent(
    shared_suite: Path, copy: Path, auditor: Key, lab: Key, tmp_path: Path
) -> None:
    body = {"shard": "run-2", "purpose": "to treat it"}
    given = give_consent(copy, "burn", body, auditor, lab.identity, clock=Hands())
    out, keys = tmp_path / "draws.json", [lab]
    shutil.copytree(shared_suite / "shards", copy / "shards")
    for shard, purpose in (("run-1", "to treat it"), ("run-2", "to sell it")):
        with pytest.raises(Refused) as refused:
            keeping.burn(copy, shard, purpose, keys, out, consents=[given], clock=Hands())
        assert refused.value.reason == "wrong consent"
    keeping.burn(copy, "run-2", "to treat it", keys, out, consents=[given], clock=Hands())
    assert accepted(verify_suite(copy, opened=[read_opened(out)]))
    assert follow(shared_suite, copy / "ledger.jsonl") == 3
    assert keeping.standing(shared_suite)[1].burnt


def alter(suite: Path, change: Callable[[dict[str, Json]], object]) -> None:
    """Change the consent in the last ask and chain anew, signed again by the acting custodian."""
    all_rows = [json.loads(line) for line in lines(suite)]
    (content,) = all_rows[1]["body"]["consents"].values()
    change(content)
    rewrite(suite, [rfc8785.dumps(row) for row in all_rows])


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(until="2026-02-01T00:00:00Z"),
        lambda c: c.update(part="0" * 64),
        lambda c: c.update(row=1),
        lambda c: c.update(head="0" * 64),
        lambda c: c.update(to="0" * 64),
        lambda c: c.update(signature="0" * 128),
        lambda c: c.update(more="1"),
        lambda c: c.clear(),
    ],
)
def test_an_asker_cannot_forge_a_consent(
    shared_suite: Path,
    copy: Path,
    auditor: Key,
    lab: Key,
    change: Callable[[dict[str, Json]], object],
) -> None:
    put(shared_suite, auditor, agree(copy, lab, auditor.identity))
    alter(shared_suite, change)
    rechain(shared_suite, lines(shared_suite), auditor)
    assert not accepted(verify_suite(shared_suite))


def test_without_consent_one_custodian_signs_no_ask(
    shared_suite: Path, copy: Path, auditor: Key, lab: Key
) -> None:
    put(shared_suite, auditor, agree(copy, lab, auditor.identity))
    all_rows = [json.loads(line) for line in lines(shared_suite)]
    del all_rows[1]["body"]["consents"]
    rewrite(shared_suite, [rfc8785.dumps(row) for row in all_rows])
    rechain(shared_suite, lines(shared_suite), auditor)
    (ledger,) = (c for c in verify_suite(shared_suite) if c.name == "ledger")
    assert ledger.outcome is Outcome.DIFFERS
    assert "lacks the signature" in ledger.reason


def test_following(shared_suite: Path, copy: Path, auditor: Key, lab: Key) -> None:
    """A copy grows by the other's rows, exchanged keys included, and then agrees to more."""
    ledger = shared_suite / "ledger.jsonl"
    assert follow(copy, ledger) == 0
    put(shared_suite, auditor, agree(copy, lab, auditor.identity))
    new, clock = new_key("auditor", "2029-12-31"), Hands()
    clock.at = clock.at.replace(minute=1)
    keeping.rotate(shared_suite, auditor, new, clock=clock)
    assert follow(copy, ledger) == 3
    assert (copy / "ledger.jsonl").read_bytes() == ledger.read_bytes()
    assert suites.share_path(copy, new.identity.fingerprint).exists()
    given = agree(copy, lab, new.identity, lamp=Lamp(0.9), clock=clock)
    assert put(shared_suite, new, given, lamp=Lamp(0.9), clock=clock).answer is Answer.ALARM
    assert follow(copy, ledger) == 2
    # Where both have written, neither is the other's beginning.
    for folder in (copy, shared_suite):
        Ledger(folder / "ledger.jsonl", clock=clock).append("note", {"by": folder.parent.name})
    with pytest.raises(TomogramError, match="both copies were written on"):
        follow(copy, ledger)
    with pytest.raises(TomogramError, match="could not be read"):
        follow(copy, ledger.with_name("none.jsonl"))


def test_checking_again_with_a_consent_for_a_key(
    shared_suite: Path, copy: Path, auditor: Key, lab: Key
) -> None:
    given = agree(copy, lab, auditor.identity)
    put(shared_suite, auditor, given)
    sealed = verify_sealed(shared_suite, [auditor], [given])
    assert [check.outcome for check in sealed] == [
        Outcome.REPRODUCED, Outcome.UNCHECKED, Outcome.UNCHECKED,
    ]  # fmt: skip
    (answer,) = verify_answers(shared_suite, LAMP, [auditor], QUESTIONS, [given])
    assert answer.outcome is Outcome.REPRODUCED
    (answer,) = verify_answers(shared_suite, LAMP, [auditor], QUESTIONS)
    assert answer.outcome is Outcome.UNCHECKED
    everybody = verify_sealed(shared_suite, [lab, auditor])  # in any order
    assert {check.outcome for check in everybody} == {Outcome.REPRODUCED}


@pytest.mark.parametrize("damage", ["gone", "nonsense", "other part", "fields", "deep"])
def test_what_is_no_consent(
    copy: Path, auditor: Key, lab: Key, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "consent.json"
    write_consent(agree(copy, lab, auditor.identity), path)
    content = json.loads(path.read_text())
    match damage:
        case "gone":
            path.unlink()
        case "nonsense":
            path.write_bytes(b"\xff\x00")
        case "other part":
            path.write_text(json.dumps(content | {"sealed_part": "00"}))
        case "fields":
            path.write_text(json.dumps(content | {"consent": {"kind": "rotate"}}))
        case "deep":
            path.write_text("[" * 100_000)
    with pytest.raises(TomogramError, match=r"consent|another part"):
        read_consent(path)
