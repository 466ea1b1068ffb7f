"""Asking: what is answered, what is charged, what is refused, what survives a kill."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.custody.lamps import QUESTIONS, Darkness, Hands, Lamp
from tests.custody.conftest import TERMS
from tomogram.custody import keeping
from tomogram.custody import suite as suites
from tomogram.custody.asking import Reply, ask
from tomogram.custody.budget import asks_within, bits
from tomogram.custody.history import Answer
from tomogram.custody.keys import Key, new_key
from tomogram.custody.ledger import Ledger, rows
from tomogram.custody.questions.question import Question
from tomogram.custody.refusal import Refused
from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError


def put(
    folder: Path,
    lamp: Lamp,
    *keys: Key,
    question: str = "darkness",
    shard: str = "run-1",
    questions: dict[str, Question] | None = None,
    clock: Hands | None = None,
) -> Reply:
    return ask(
        folder,
        question,
        lamp,
        keys,
        questions=QUESTIONS if questions is None else questions,
        shard=shard,
        clock=clock or Hands(),
    )


def kinds(folder: Path) -> list[str]:
    return [row.kind for row in rows(folder / "ledger.jsonl")]


def test_far_from_the_threshold_the_answer_is_right(suite: Path, auditor: Key) -> None:
    assert put(suite, Lamp(0.2), auditor).answer is Answer.PASS
    assert put(suite, Lamp(0.8), auditor).answer is Answer.ALARM
    assert put(suite, Lamp(0.2), auditor, shard="release").answer is Answer.PASS
    assert kinds(suite) == ["suite", *["ask", "answer"] * 3]


def test_what_cannot_be_asked_is_not_judged(suite: Path, auditor: Key) -> None:
    assert put(suite, Lamp(0.9, powered=False), auditor).answer is Answer.ABSTAIN


def test_the_same_again_costs_nothing(suite: Path, auditor: Key) -> None:
    first, again = (put(suite, Lamp(0.2), auditor) for _ in range(2))
    assert not first.recorded
    assert again.recorded
    assert again.answer is first.answer
    assert again.bits == first.bits == 0
    second = put(suite, Lamp(0.3), auditor)
    assert second.bits == bits(2, TERMS.alarms)
    assert second.asks_left == asks_within(200, 0.16, 2, 0.05) - 2
    assert kinds(suite) == ["suite", *["ask", "answer"] * 2]


def test_nothing_finer_than_a_word_is_written(suite: Path, auditor: Key) -> None:
    put(suite, Lamp(0.2), auditor)
    last = list(rows(suite / "ledger.jsonl"))[-1]
    assert dict(last.body) == {
        "answer": "PASS",
        "model": Lamp(0.2).digest,
        "question": "darkness",
        "shard": "run-1",
    }


def test_the_row_is_written_before_anything_is_measured(suite: Path, auditor: Key) -> None:
    class Watching(Darkness):
        def measure(self, model: Lamp, draws: Sequence[Json]) -> list[float | None]:
            assert kinds(suite)[-1] == "ask"
            return super().measure(model, draws)

    put(suite, Lamp(0.2), auditor, questions={"darkness": Watching()})
    assert kinds(suite)[-1] == "answer"


def test_noise_moves_the_threshold_and_is_the_same_again(
    tmp_path: Path, suite: Path, auditor: Key
) -> None:
    """Lamps close to the threshold differ in their answers, and each keeps its own."""
    import shutil

    copies = [shutil.copytree(suite, tmp_path / f"copy-{i}") for i in range(2)]
    for lamp in (Lamp(0.49), Lamp(0.5)):
        answers = {put(copy, lamp, auditor).answer for copy in copies}
        assert len(answers) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": "brightness"}, "unknown question"),
        ({"questions": {}}, "other version"),
        ({"shard": "run-9"}, "unknown shard"),
    ],
)
def test_refusals(suite: Path, auditor: Key, change: dict[str, object], reason: str) -> None:
    with pytest.raises(Refused) as refused:
        put(suite, Lamp(0.2), auditor, **change)  # type: ignore[arg-type]
    assert refused.value.reason == reason
    (*_, last) = rows(suite / "ledger.jsonl")
    assert (last.kind, last.body["reason"]) == ("refusal", reason)
    assert last.signatures


def test_two_parties(shared_suite: Path, auditor: Key, lab: Key) -> None:
    stranger = new_key("stranger", "2027-12-31")
    for keys, reason in (
        ((auditor,), "missing party"),
        ((lab,), "missing party"),
        ((), "missing party"),
        ((auditor, lab, stranger), "wrong key"),
        ((stranger,), "wrong key"),
    ):
        with pytest.raises(Refused) as refused:
            put(shared_suite, Lamp(0.2), *keys)
        assert refused.value.reason == reason
    assert put(shared_suite, Lamp(0.2), lab, auditor).answer is Answer.PASS
    assert kinds(shared_suite) == ["suite", *["refusal"] * 5, "ask", "answer"]


def test_a_refusal_that_cannot_be_recorded_is_one_all_the_same(suite: Path, auditor: Key) -> None:
    """The thousandth row must be signed, and a stranger's key signs nothing."""
    clock = Hands()
    with Ledger(suite / "ledger.jsonl", clock=clock, durable=False).held() as held:
        for _ in range(999):
            held.append("note", {})
    with pytest.raises(Refused, match="Not recorded") as refused:
        put(suite, Lamp(0.2), new_key("stranger", "2099-12-31"), clock=clock)
    assert refused.value.reason == "wrong key"
    assert put(suite, Lamp(0.2), auditor, clock=clock).answer is Answer.PASS


def test_an_expired_key_seals_nothing(tmp_path: Path) -> None:
    old = new_key("old", "2020-12-31")
    with pytest.raises(TomogramError, match="expired"):
        suites.new(tmp_path / "s", "lamps", {Darkness(): 0.5}, TERMS, key=old, clock=Hands())
    assert not (tmp_path / "s").exists()


def test_an_expired_key_stays_expired_when_the_clock_goes_back(suite: Path, auditor: Key) -> None:
    late = Hands()
    late.at = late.at.replace(year=2028)
    with pytest.raises(Refused) as refused:
        put(suite, Lamp(0.2), auditor, clock=late)
    assert refused.value.reason == "expired key"
    with pytest.raises(TomogramError, match="before the ledger's last row"):
        put(suite, Lamp(0.2), auditor)


def test_alarms_close_a_shard_and_no_other(suite: Path, auditor: Key) -> None:
    for lamp in (Lamp(0.8), Lamp(0.9)):
        put(suite, lamp, auditor)
    with pytest.raises(Refused) as refused:
        put(suite, Lamp(0.2), auditor)
    assert refused.value.reason == "exhausted budget"
    assert put(suite, Lamp(0.8), auditor).recorded  # what was said is still said
    assert put(suite, Lamp(0.2), auditor, shard="run-2").answer is Answer.PASS


def test_asks_close_a_shard(suite: Path, auditor: Key) -> None:
    allowed = asks_within(200, 0.16, 2, 0.05)
    for i in range(allowed):
        put(suite, Lamp(i / 1000), auditor)
    with pytest.raises(Refused, match=f"{allowed} asks"):
        put(suite, Lamp(0.3), auditor)


def test_a_burnt_shard_answers_no_more(suite: Path, auditor: Key, tmp_path: Path) -> None:
    put(suite, Lamp(0.2), auditor)
    clock = Hands()
    keeping.burn(suite, "run-1", "to treat it", [auditor], tmp_path / "draws.json", clock=clock)
    with pytest.raises(Refused) as refused:
        put(suite, Lamp(0.3), auditor, clock=clock)
    assert refused.value.reason == "burnt shard"
    assert put(suite, Lamp(0.2), auditor, clock=clock).recorded
    assert (tmp_path / "draws.json").stat().st_mode & 0o077 == 0


def test_an_exchanged_key(suite: Path, auditor: Key) -> None:
    new, clock = new_key("auditor", "2029-12-31"), Hands()
    keeping.rotate(suite, auditor, new, clock=clock)
    with pytest.raises(Refused) as refused:
        put(suite, Lamp(0.2), auditor, clock=clock)
    assert refused.value.reason == "wrong key"
    assert put(suite, Lamp(0.2), new, clock=clock).answer is Answer.PASS


class Stuck(Darkness):
    """Measures until somebody kills it."""

    def measure(self, model: Lamp, draws: Sequence[Json]) -> list[float | None]:
        os.kill(os.getpid(), signal.SIGKILL)
        return []


def test_a_killed_ask_is_charged_and_finished_without_a_second_charge(
    suite: Path, auditor: Key
) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=put,
        args=(suite, Lamp(0.2), auditor),
        kwargs={"questions": {"darkness": Stuck()}},
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert kinds(suite) == ["suite", "ask"]
    shard = keeping.standing(suite)[0]
    assert (shard.asks, shard.alarms, shard.open) == (1, 0, 1)
    assert put(suite, Lamp(0.2), auditor).answer is Answer.PASS
    assert kinds(suite) == ["suite", "ask", "answer"]


def test_open_asks_count_as_alarms(suite: Path, auditor: Key) -> None:
    """Two allowed alarms: while two asks are open, a third is refused, for both may be alarms."""
    inside, go = threading.Barrier(3), threading.Event()

    class Waiting(Darkness):
        def measure(self, model: Lamp, draws: Sequence[Json]) -> list[float | None]:
            if not go.is_set():
                inside.wait(60)
                go.wait(60)
            return super().measure(model, draws)

    clock = Hands()
    waiting: dict[str, Question] = {"darkness": Waiting()}
    with ThreadPoolExecutor(2) as pool:
        open_asks = [
            pool.submit(put, suite, lamp, auditor, questions=waiting, clock=clock)
            for lamp in (Lamp(0.1), Lamp(0.2))
        ]
        inside.wait(60)
        with pytest.raises(Refused) as refused:
            put(suite, Lamp(0.3), auditor, clock=clock)
        assert refused.value.reason == "exhausted budget"
        go.set()
        assert {one.result().answer for one in open_asks} == {Answer.PASS}
    assert put(suite, Lamp(0.3), auditor, clock=clock).answer is Answer.PASS


def test_a_question_that_measures_nonsense_is_no_answer(suite: Path, auditor: Key) -> None:
    class Nonsense(Darkness):
        def measure(self, model: Lamp, draws: Sequence[Json]) -> list[float | None]:
            return [2.0 for _ in draws]

    with pytest.raises(TomogramError, match="number in"):
        put(suite, Lamp(0.2), auditor, questions={"darkness": Nonsense()})
    assert kinds(suite) == ["suite", "ask"]
