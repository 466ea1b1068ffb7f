"""What a ledger's rows mean: replayed from the first, each row is checked and added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import ValidationError

from tomogram.custody.budget import Spent
from tomogram.custody.consent import InRow, problem
from tomogram.custody.keys import Identity
from tomogram.custody.ledger import CHECKPOINT_EVERY, START, Broken, Row
from tomogram.custody.suite import Suite


class Answer(StrEnum):
    """All that is ever said about a model."""

    PASS = "PASS"
    ALARM = "ALARM"
    ABSTAIN = "ABSTAIN"


Asking = tuple[str, str]
"""A question's name and a model's digest."""

_COUNTING = frozenset({"suite", "ask", "answer", "burn", "rotate", "checkpoint"})
"""Kinds of rows that consents may name: there are few of them however long the ledger is."""


@dataclass
class ShardHistory:
    """What was done with one shard. An ask is open until its answer is written.

    absent: places, in the suite's order, of custodians who agreed to an ask and did not sign it.
    """

    answers: dict[Asking, Answer | None] = field(default_factory=dict)
    absent: dict[Asking, frozenset[int]] = field(default_factory=dict)
    burnt: bool = False

    @property
    def open(self) -> int:
        """Number of asks without an answer."""
        return sum(answer is None for answer in self.answers.values())

    @property
    def spent(self) -> Spent:
        """What the budget was charged; open asks count as alarms, for they may become ones."""
        alarms = sum(answer in (None, Answer.ALARM) for answer in self.answers.values())
        return Spent(len(self.answers), alarms)


@dataclass
class History:
    """The state of a suite after some rows of its ledger. `add` checks a row and moves on.

    suite: the public part. suite_digest: digest of suite.json, which the first row must name.
    heads: digests of the rows that consents may name, by number.
    """

    suite: Suite
    suite_digest: str
    custodians: list[Identity] = field(default_factory=list)
    shares: dict[str, str] = field(default_factory=dict)
    shards: dict[str, ShardHistory] = field(default_factory=dict)
    heads: dict[int, str] = field(default_factory=dict)
    refusals: int = 0
    rows: int = 0
    signed_rows: int = 0
    last_signed: int = -1
    head: str = START
    time: str = ""

    def __post_init__(self) -> None:
        self.custodians = list(self.suite.custodians)
        self.shards = {shard.name: ShardHistory() for shard in self.suite.shards}

    def add(self, row: Row) -> None:
        """Check one row against everything before it, and take it in.

        Raises Broken where it is not allowed, or not signed by whom it must be.
        """
        if (row.kind == "suite") != (row.number == 0):
            raise Broken(row.number, "is not the right kind of row for its place")
        try:
            self._check_signatures(row)
            match row.kind:
                case "suite":
                    self._started(row)
                case "ask":
                    self._asked(row)
                case "answer":
                    self._answered(row)
                case "burn":
                    self._shard(row).burnt = True
                case "rotate":
                    self._rotated(row)
                case "refusal":
                    self.refusals += 1
                case "checkpoint" | "note":
                    pass
                case _:
                    raise Broken(row.number, f"is of no known kind ({row.kind!r})")
        except (KeyError, TypeError, ValueError) as error:
            raise Broken(row.number, "lacks something or holds what it must not") from error
        self.rows, self.head, self.time = row.number + 1, row.digest, row.time
        if row.kind in _COUNTING:
            self.heads[row.number] = row.digest
        if row.signatures:
            self.signed_rows += 1
            self.last_signed = row.number

    def _check_signatures(self, row: Row) -> None:
        known = {identity.fingerprint: identity for identity in self.custodians}
        if row.kind == "rotate":
            new = _identity(row)
            known[new.fingerprint] = new
            needed = {str(row.body.get("old")), new.fingerprint}
        elif row.kind in ("ask", "burn"):
            needed = set(known) - self._agreed(row)
        elif row.kind == "answer":
            absent = self._shard(row).absent.get(_asking(row), frozenset())
            needed = {each.fingerprint for i, each in enumerate(self.custodians) if i not in absent}
        else:
            needed = set()
        signed = row.signed_bytes() if row.signatures else b""
        for fingerprint, signature in row.signatures.items():
            identity = known.get(fingerprint)
            if identity is None:
                raise Broken(row.number, "is signed by a key that is no custodian's")
            if not identity.signed(signed, signature):
                raise Broken(row.number, f"has a signature that is not {identity.name}'s")
            if identity.expired(row.time):
                raise Broken(row.number, f"is signed after the last day of {identity.name}'s key")
        if needed - set(row.signatures):
            raise Broken(row.number, "lacks the signature of a custodian")
        due = row.kind in ("suite", "checkpoint") or row.number % CHECKPOINT_EVERY == 0
        if due and not row.signatures:
            raise Broken(row.number, "must be signed and is not")

    def _agreed(self, row: Row) -> set[str]:
        """Fingerprints of the custodians whose consent stands in a row. Raises Broken."""
        consents = row.body.get("consents", {})
        if not isinstance(consents, Mapping):
            raise ValueError("consents are by custodian")
        known = {identity.fingerprint: identity for identity in self.custodians}
        for fingerprint, content in consents.items():
            identity, kept = known.get(fingerprint), InRow.model_validate(content)
            if identity is None:
                raise Broken(row.number, "has the consent of somebody who is no custodian")
            if identity.expired(row.time):
                raise Broken(row.number, f"has a consent after the last day of {identity.name}")
            wrong = problem(
                kept.whole(self.suite_digest, row.kind, row.body),
                kept.signature,
                identity,
                acting=row.signatures,
                heads=self.heads,
                time=row.time,
            )
            if wrong:
                raise Broken(row.number, f"has a consent that does not hold: {wrong.clause}")
        return set(consents)

    def _started(self, row: Row) -> None:
        if row.body["suite"] != self.suite_digest:
            raise Broken(row.number, "was written for another suite.json")
        shares = row.body["shares"]
        if not isinstance(shares, Mapping) or set(shares) != {
            identity.fingerprint for identity in self.custodians
        }:
            raise Broken(row.number, "does not name the custodians' shares")
        self.shares = {str(name): str(digest) for name, digest in shares.items()}

    def _asked(self, row: Row) -> None:
        shard, asking = self._shard(row), _asking(row)
        if asking[0] not in self.suite.questions:
            raise Broken(row.number, "asks a question that the suite does not have")
        if shard.burnt:
            raise Broken(row.number, "asks a burnt shard")
        if asking in shard.answers:
            raise Broken(row.number, "asks again what was asked before")
        if shard.spent.refusal(self.suite.terms):
            raise Broken(row.number, "asks more than the budget allows")
        shard.answers[asking] = None
        absent = set(row.body.get("consents", {})) - set(row.signatures)  # type: ignore[arg-type]
        shard.absent[asking] = frozenset(
            i for i, each in enumerate(self.custodians) if each.fingerprint in absent
        )

    def _answered(self, row: Row) -> None:
        shard, asking = self._shard(row), _asking(row)
        if asking not in shard.answers:
            raise Broken(row.number, "answers what was not asked")
        if shard.answers[asking] is not None:
            raise Broken(row.number, "answers a second time")
        shard.answers[asking] = Answer(str(row.body["answer"]))

    def _rotated(self, row: Row) -> None:
        prints = [identity.fingerprint for identity in self.custodians]
        old, new = str(row.body["old"]), _identity(row)
        if old not in prints or new.fingerprint in prints:
            raise Broken(row.number, "exchanges a key that is no custodian's, or for itself")
        self.custodians[prints.index(old)] = new
        del self.shares[old]
        self.shares[new.fingerprint] = str(row.body["share"])

    def _shard(self, row: Row) -> ShardHistory:
        shard = self.shards.get(str(row.body["shard"]))
        if shard is None:
            raise Broken(row.number, "names a shard that the suite does not have")
        return shard


def replay(suite: Suite, suite_digest: str, rows: Iterable[Row]) -> History:
    """The state after all rows. Raises Broken at the first row that is not allowed."""
    history = History(suite, suite_digest)
    for row in rows:
        history.add(row)
    if history.rows == 0:
        raise Broken(0, "is missing")
    return history


def _asking(row: Row) -> Asking:
    return str(row.body["question"]), str(row.body["model"])


def _identity(row: Row) -> Identity:
    try:
        return Identity.model_validate(row.body.get("identity"))
    except ValidationError as error:
        raise Broken(row.number, "names no identity") from error
