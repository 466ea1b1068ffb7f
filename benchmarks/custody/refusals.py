"""Every way to be refused: is each told clearly and recorded; and who cannot read a suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from benchmarks.custody.lamps import QUESTIONS, Darkness, Hands, Lamp
from benchmarks.custody.tampering import SMALL
from tomogram.custody import keeping, sealing
from tomogram.custody import suite as suites
from tomogram.custody.asking import ask
from tomogram.custody.consent import Given
from tomogram.custody.consenting import give_consent
from tomogram.custody.keys import Key, new_key
from tomogram.custody.ledger import rows
from tomogram.custody.questions.question import Question
from tomogram.custody.refusal import Refused
from tomogram.store.errors import TomogramError

Attempt = Callable[[], object]


class Parties:
    """Two custodians, a stranger, and suites of the two."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.auditor, self.lab, self.stranger = (
            new_key(name, "2026-12-31") for name in ("auditor", "lab", "stranger")
        )
        self.both = [self.auditor, self.lab]

    def suite(self, name: str) -> Path:
        """A fresh suite that takes both keys."""
        path, others = self.folder / name, [self.lab.identity]
        questions: dict[Question, float] = {Darkness(): 0.5}
        suites.new(path, "lamps", questions, SMALL, key=self.auditor, others=others, clock=Hands())
        return path

    def consent(self, suite: Path, shard: str = "run-1") -> Given:
        """The lab lets the auditor ask about a lamp, for a day."""
        body = {"shard": shard, "question": "darkness", "model": Lamp(0.3).digest}
        to, clock = self.auditor.identity, Hands()
        return give_consent(suite, "ask", body, self.lab, to, days=1, clock=clock)


def recorded(folder: Path) -> dict[str, bool]:
    """By what was tried, whether the refusal came for its reason and stands in the ledger."""
    who = Parties(folder)
    cases = _asks(who) | _other_acts(who)
    return {
        name: _refused(path, attempt, reason) for name, (reason, path, attempt) in cases.items()
    }


def opened_by_others(folder: Path) -> tuple[int, int]:
    """How many of how many attempts open a shard with less than both keys."""
    who = Parties(folder)
    path, other = who.suite("one"), who.suite("two")
    suite = suites.load(path)
    own, foreign = (
        [suites.read_share(place, suite, key) for key in who.both] for place in (path, other)
    )
    mixed = [
        [], own[:1], own[1:], own[::-1], foreign, [own[0], foreign[1]], [bytes(32), bytes(32)],
    ]  # fmt: skip
    attempts = [(shard, shard.name, shares) for shard in suite.shards for shares in mixed]
    # A part that was handed over for one shard opens no other.
    attempts.append((suite.shards[-1], suite.shards[0].name, own))
    opened = sum(_opens(path, suite, *attempt) for attempt in attempts)
    return opened, len(attempts)


def _opens(
    path: Path, suite: suites.Suite, shard: suites.Shard, part_of: str, shares: Sequence[bytes]
) -> bool:
    """Whether a shard opens with what some shares give for a shard of this name."""
    try:
        suites.open_shard(path, suite, shard, [sealing.part(share, part_of) for share in shares])
    except TomogramError:
        return False
    return True


def _asks(who: Parties) -> dict[str, tuple[str, Path, Attempt]]:
    def put(
        suite: Path,
        keys: list[Key],
        *consents: Given,
        question: str = "darkness",
        shard: str = "run-1",
        days: int = 0,
        installed: bool = True,
    ) -> Attempt:
        clock, questions = Hands(), QUESTIONS if installed else {}
        clock.at += timedelta(days=days)
        return lambda: ask(
            suite, question, Lamp(0.3), keys,
            questions=questions, shard=shard, consents=consents, clock=clock,
        )  # fmt: skip

    suite = {
        name: who.suite(name.replace(" ", "-"))
        for name in (
            "wrong key", "missing party", "expired key", "unknown question", "other version",
            "unknown shard", "burnt shard", "exhausted budget", "wrong consent", "expired consent",
            "other ledger",
        )
    }  # fmt: skip
    burnt, exhausted, rolled_back = (
        suite[name] for name in ("burnt shard", "exhausted budget", "other ledger")
    )
    keeping.burn(burnt, "run-1", "treatment", who.both, who.folder / "d.json", clock=Hands())
    for dark in (0.9, 0.95):
        ask(exhausted, "darkness", Lamp(dark), who.both, questions=QUESTIONS, clock=Hands())
    before = suites.ledger_path(rolled_back).read_bytes()
    ask(rolled_back, "darkness", Lamp(0.1), who.both, questions=QUESTIONS, clock=Hands())
    later = who.consent(rolled_back)
    suites.ledger_path(rolled_back).write_bytes(before)
    wrong, late = (suite[name] for name in ("wrong consent", "expired consent"))
    one = [who.auditor]
    attempts = {
        "wrong key": put(suite["wrong key"], [*who.both, who.stranger]),
        "missing party": put(suite["missing party"], one),
        "expired key": put(suite["expired key"], who.both, days=400),
        "unknown question": put(suite["unknown question"], who.both, question="brightness"),
        "other version": put(suite["other version"], who.both, installed=False),
        "unknown shard": put(suite["unknown shard"], who.both, shard="run-9"),
        "burnt shard": put(burnt, who.both),
        "exhausted budget": put(exhausted, who.both),
        "wrong consent": put(wrong, one, who.consent(wrong, "run-2")),
        "expired consent": put(late, one, who.consent(late), days=2),
        "other ledger": put(rolled_back, one, later),
    }
    return {name: (name, suite[name], attempt) for name, attempt in attempts.items()}


def _other_acts(who: Parties) -> dict[str, tuple[str, Path, Attempt]]:
    burn, rotate, late, sign = (who.suite(f"acts-{i}") for i in range(4))
    new, clock, out = new_key("lab", "2027-12-31"), Hands(), who.folder / "never.json"
    clock.at += timedelta(days=400)
    return {
        "burn without one key": (
            "missing party", burn,
            lambda: keeping.burn(burn, "run-1", "treatment", [who.lab], out, clock=Hands()),
        ),
        "rotate a stranger": (
            "wrong key", rotate, lambda: keeping.rotate(rotate, who.stranger, new, clock=Hands()),
        ),
        "rotate too late": (
            "expired key", late, lambda: keeping.rotate(late, who.lab, new, clock=clock),
        ),
        "checkpoint by a stranger": (
            "wrong key", sign, lambda: keeping.checkpoint(sign, [who.stranger], clock=Hands()),
        ),
    }  # fmt: skip


def _refused(suite: Path, attempt: Attempt, reason: str) -> bool:
    try:
        attempt()
    except Refused as refused:
        (*_, last) = rows(suites.ledger_path(suite))
        return refused.reason == reason == last.body.get("reason") and last.kind == "refusal"
    return False
