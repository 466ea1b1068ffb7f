"""What was done with a suite, ask by ask, for those who publish it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt

from tomogram.custody import ledger as ledgers
from tomogram.custody.anchor import Anchor
from tomogram.custody.budget import bits, width
from tomogram.custody.history import History
from tomogram.custody.keys import Identity
from tomogram.custody.ledger import Broken, Row
from tomogram.custody.questions.question import Question
from tomogram.custody.suite import RELEASE, ledger_path, load
from tomogram.custody.verify import Check, Outcome, verify_suite
from tomogram.store.digest import digest_file
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Record


class Checked(Record):
    """One thing that was looked at: reproduced, differs or could not be checked, and why."""

    name: str
    outcome: Outcome
    reason: str


def checked(check: Check, folder: Path) -> Checked:
    """A check as a record that names the folder it was made in, and not where that lay."""
    reason = check.reason.replace(str(folder), folder.name)
    return Checked(name=check.name, outcome=check.outcome, reason=reason)


class Consultation(Record):
    """One ask of a sealed suite, by its row in the ledger.

    answer: None where the run was aborted and never answered; it is charged all the same.
    bits: what the ask added to the shard's bill. consents: names of custodians who agreed to it
    without being there; the others signed it.
    """

    row: NonNegativeInt
    time: str
    shard: str
    question: str
    model: str
    answer: Literal["PASS", "ALARM", "ABSTAIN"] | None = None
    bits: float
    consents: tuple[str, ...] = ()


class Refused(Record):
    """Refusals of one reason, shard and question, counted."""

    reason: str
    shard: str
    question: str
    count: NonNegativeInt
    first: str
    last: str


class Burnt(Record):
    """A shard that was opened for treatment."""

    row: NonNegativeInt
    time: str
    shard: str
    purpose: str


class ShardUse(Record):
    """What one shard has spent, and whether its draws are still sealed.

    reserved: kept for the release. asks: those without an answer among them, which are `aborted`.
    width: half-width within which every mean lies, after these asks; `width_promised` at most.
    """

    name: str
    reserved: bool
    burnt: bool
    draws: NonNegativeInt
    asks: NonNegativeInt
    asks_allowed: NonNegativeInt
    aborted: NonNegativeInt
    alarms: NonNegativeInt
    alarms_allowed: NonNegativeInt
    bits: float
    width: float
    width_promised: float


class QuestionUse(Record):
    """A question as the suite asks it; `meaning` is empty where it is not installed here."""

    name: str
    version: int
    threshold: float
    meaning: str


class SuiteUse(Record):
    """How one suite was used, from its first row to its last.

    noise: by at most so much each threshold moves.
    """

    suite: str
    rows: NonNegativeInt
    head: str
    sealed: str
    """Time of the first row."""
    latest: str
    """Time of the last row."""
    custodians: tuple[str, ...]
    rotations: NonNegativeInt
    delta: float
    noise: float
    questions: tuple[QuestionUse, ...]
    shards: tuple[ShardUse, ...]
    consultations: tuple[Consultation, ...]
    refusals: tuple[Refused, ...]
    burnt: tuple[Burnt, ...]
    checks: tuple[Checked, ...]


def suite_use(
    folder: Path,
    *,
    questions: Mapping[str, Question],
    anchor: Anchor | None = None,
    identities: Sequence[Identity] = (),
) -> SuiteUse:
    """Read a suite's ledger from its first row, checking each, and say what was done.

    Nothing is written and no lock is taken: a copy of the suite serves as well.

    Raises TomogramError where the suite is missing or its ledger is not what it should be.
    """
    suite = load(folder)
    history = History(suite, digest_file(folder / "suite.json"))
    seen = _Seen()
    try:
        for row in ledgers.rows(ledger_path(folder)):
            before = _asks(history) if row.kind == "ask" else {}
            history.add(row)
            names = {each.fingerprint: each.name for each in history.custodians}
            seen.add(row, before, suite.terms.alarms, names)
    except Broken as error:
        raise TomogramError(
            f"The ledger of {folder} cannot be trusted: {error}; `tomogram verify` says more."
        ) from error
    if not history.rows:
        raise TomogramError(f"The ledger of {folder} has no rows.")
    checks = verify_suite(folder, anchor=anchor, identities=identities)
    return SuiteUse(
        suite=suite.name,
        rows=history.rows,
        head=history.head,
        sealed=seen.first,
        latest=history.time,
        custodians=tuple(identity.name for identity in history.custodians),
        rotations=seen.rotations,
        delta=suite.terms.delta,
        noise=suite.terms.noise,
        questions=tuple(
            QuestionUse(
                name=name,
                version=asked.version,
                threshold=asked.threshold,
                meaning=_meaning(questions, name, asked.version),
            )
            for name, asked in suite.questions.items()
        ),
        shards=tuple(_shard_use(history, name) for name in history.shards),
        consultations=tuple(seen.consultations.values()),
        refusals=tuple(seen.refusals.values()),
        burnt=tuple(seen.burnt),
        checks=tuple(checked(check, folder) for check in checks),
    )


class _Seen:
    """What has been told of while the rows go by."""

    def __init__(self) -> None:
        self.first = ""
        self.rotations = 0
        self.consultations: dict[tuple[str, str, str], Consultation] = {}
        self.refusals: dict[tuple[str, str, str], Refused] = {}
        self.burnt: list[Burnt] = []

    def add(self, row: Row, asks: Mapping[str, int], alarms: int, names: Mapping[str, str]) -> None:
        """Take in a row that was found good.

        asks: by shard, before this row. names: of the custodians, by fingerprint.
        """
        self.first = self.first or row.time
        match row.kind:
            case "ask":
                self._asked(row, asks, alarms, names)
            case "answer":
                asking = _asking(row)
                known = self.consultations[asking]
                self.consultations[asking] = known.model_copy(
                    update={"answer": str(row.body["answer"])}
                )
            case "refusal":
                self._refused(row)
            case "burn":
                self.burnt.append(
                    Burnt(
                        row=row.number,
                        time=row.time,
                        shard=str(row.body["shard"]),
                        purpose=str(row.body.get("purpose", "")),
                    )
                )
            case "rotate":
                self.rotations += 1

    def _asked(
        self, row: Row, asks: Mapping[str, int], alarms: int, names: Mapping[str, str]
    ) -> None:
        shard, question, model = asking = _asking(row)
        before, consents = asks[shard], row.body.get("consents", {})
        assert isinstance(consents, Mapping)  # the history has looked
        self.consultations[asking] = Consultation(
            row=row.number,
            time=row.time,
            shard=shard,
            question=question,
            model=model,
            bits=bits(before + 1, alarms) - bits(before, alarms),
            consents=tuple(names[each] for each in sorted(consents) if each not in row.signatures),
        )

    def _refused(self, row: Row) -> None:
        reason, shard, question = key = (
            str(row.body.get("reason", "")),
            str(row.body.get("shard", "")),
            str(row.body.get("question", "")),
        )
        known = self.refusals.get(key)
        self.refusals[key] = Refused(
            reason=reason,
            shard=shard,
            question=question,
            count=known.count + 1 if known else 1,
            first=known.first if known else row.time,
            last=row.time,
        )


def _asks(history: History) -> dict[str, int]:
    return {name: len(shard.answers) for name, shard in history.shards.items()}


def _asking(row: Row) -> tuple[str, str, str]:
    return str(row.body["shard"]), str(row.body["question"]), str(row.body["model"])


def _shard_use(history: History, name: str) -> ShardUse:
    terms, shard = history.suite.terms, history.shards[name]
    spent = shard.spent
    return ShardUse(
        name=name,
        reserved=name == RELEASE,
        burnt=shard.burnt,
        draws=terms.clusters * len(history.suite.questions),
        asks=spent.asks,
        asks_allowed=terms.asks,
        aborted=shard.open,
        alarms=spent.alarms - shard.open,
        alarms_allowed=terms.alarms,
        bits=bits(spent.asks, terms.alarms),
        width=width(terms.clusters, max(1, spent.asks), terms.alarms, terms.delta),
        width_promised=terms.width,
    )


def _meaning(questions: Mapping[str, Question], name: str, version: int) -> str:
    known = questions.get(name)
    return known.meaning if known is not None and known.version == version else ""
