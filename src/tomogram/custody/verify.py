"""Check a suite from its files alone; with keys and a model, check more.

Every check ends in one of three outcomes with its reason. What was not looked at is never good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tomogram.custody import ledger as ledgers
from tomogram.custody.anchor import Anchor
from tomogram.custody.asking import askable, judged, opened_by
from tomogram.custody.budget import width
from tomogram.custody.consent import Given
from tomogram.custody.custodians import openers
from tomogram.custody.history import Answer, History
from tomogram.custody.keys import Identity, Key
from tomogram.custody.ledger import Broken
from tomogram.custody.questions.question import Question, Subject
from tomogram.custody.suite import (
    Opened,
    Suite,
    ledger_path,
    load,
    open_shard,
    shard_path,
    share_path,
)
from tomogram.store.digest import digest_file
from tomogram.store.errors import TomogramError


class Outcome(StrEnum):
    """What a check can come to."""

    REPRODUCED = "reproduced"
    DIFFERS = "differs"
    UNCHECKED = "could not be checked"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, what came of it, and why."""

    name: str
    outcome: Outcome
    reason: str


def verify_suite(
    folder: Path,
    *,
    anchor: Anchor | None = None,
    identities: Sequence[Identity] = (),
    opened: Sequence[Opened] = (),
) -> list[Check]:
    """Check a suite without network, model or key.

    Args:
        folder: the suite.
        anchor: its ledger's head as somebody else kept it.
        identities: custodians the reader knows from elsewhere.
        opened: contents of burnt shards, to be held against the commitments.
    """
    try:
        suite = load(folder)
        digest = digest_file(folder / "suite.json")
    except TomogramError as error:
        return [Check("schema", Outcome.DIFFERS, str(error))]
    checks = [Check("schema", Outcome.REPRODUCED, "suite.json fits its schema.")]
    replayed, history, anchored = _replayed(folder, suite, digest, anchor)
    checks.append(replayed)
    checks += [
        _anchored(anchor, anchored, history),
        _custodians(suite, identities),
        *(_sealed(folder, suite, shard.name) for shard in suite.shards),
        *(_share(folder, *item) for item in history.shares.items()),
    ]
    if replayed.outcome is not Outcome.DIFFERS:
        checks += [_spent(suite, history, name) for name in history.shards]
    checks += [_burnt(suite, content) for content in opened]
    return checks


def read_opened(path: Path) -> Opened:
    """Read the draws of a burnt shard. Raises TomogramError where the file is something else."""
    try:
        return Opened.from_json(path.read_bytes())
    except OSError as error:
        raise TomogramError(f"{path} could not be read: {error.strerror}.") from error


def verify_sealed(folder: Path, keys: Sequence[Key], consents: Sequence[Given] = ()) -> list[Check]:
    """Open every shard and hold its draws against the commitments.

    Needs every custodian's key, or for a shard the consent that one of them gave to an act on it.
    """
    suite, history = _read(folder)
    checks = []
    for shard in suite.shards:
        try:
            parts = openers(history, keys, consents, shard.name).parts(folder, suite, shard.name)
            checks.append(_content(suite, shard.name, open_shard(folder, suite, shard, parts)))
        except TomogramError as error:
            checks.append(Check(f"draws of {shard.name}", Outcome.UNCHECKED, str(error)))
    return checks


def verify_answers(
    folder: Path,
    model: Subject,
    keys: Sequence[Key],
    questions: Mapping[str, Question],
    consents: Sequence[Given] = (),
    opened: Sequence[Opened] = (),
) -> list[Check]:
    """Measure again every answer that was recorded about this model, without asking the suite.

    A shard opens with every key, or with consents in the place of some; a burnt shard whose draws
    are given (`opened`) needs neither. The tolerance is measured on the spot: the sealed draws are
    measured in two orders, and where the two means fall on different sides of the threshold nothing
    can be said.
    """
    suite, history = _read(folder)
    checks = []
    for shard, past in history.shards.items():
        for (name, digest), recorded in past.answers.items():
            if digest != model.digest or recorded is None:
                continue
            question = questions.get(name)
            if question is None or question.version != suite.questions[name].version:
                reason = f"the question {name} is not installed in the suite's version."
                checks.append(Check(f"{name} on {shard}", Outcome.UNCHECKED, reason))
                continue
            try:
                content = _given(suite, shard, opened)
                if content is None:
                    who = openers(history, keys, consents, shard)
                    content = opened_by(folder, suite, shard, who)
                checks.append(_again(suite, shard, content, question, model, recorded))
            except TomogramError as error:
                checks.append(Check(f"{name} on {shard}", Outcome.UNCHECKED, str(error)))
    if not checks:
        checks.append(Check("answers", Outcome.UNCHECKED, "nothing is recorded about this model."))
    return checks


def _read(folder: Path) -> tuple[Suite, History]:
    suite = load(folder)
    history = History(suite, digest_file(folder / "suite.json"))
    for row in ledgers.rows(ledger_path(folder)):
        history.add(row)
    return suite, history


def accepted(checks: Sequence[Check]) -> bool:
    """Whether nothing differs."""
    return all(check.outcome is not Outcome.DIFFERS for check in checks)


def _replayed(
    folder: Path, suite: Suite, digest: str, anchor: Anchor | None
) -> tuple[Check, History, Outcome]:
    """Chain, signatures, order and budget in one pass; and what the anchor found on the way."""
    history, path = History(suite, digest), ledger_path(folder)
    anchored = Outcome.UNCHECKED
    try:
        for row in ledgers.rows(path):
            history.add(row)
            if anchor and row.number == 0 and row.digest != anchor.start:
                anchored = Outcome.DIFFERS
            if anchor and row.number == anchor.rows - 1 and anchored is Outcome.UNCHECKED:
                same = row.digest == anchor.head and row.time == anchor.time
                anchored = Outcome.REPRODUCED if same else Outcome.DIFFERS
        if history.rows == 0:
            raise Broken(0, "is missing")
        left = ledgers.unfinished(path)
    except (Broken, TomogramError) as error:
        if anchor:
            anchored = Outcome.DIFFERS
        return Check("ledger", Outcome.DIFFERS, f"{error}".rstrip(".") + "."), history, anchored
    if anchor and anchored is Outcome.UNCHECKED:  # it never got as far as the anchor
        anchored = Outcome.DIFFERS
    if left:
        reason = f"it ends in {left} bytes that are no row: a crash while writing, or a hand."
        return Check("ledger", Outcome.UNCHECKED, reason), history, anchored
    tail = history.rows - 1 - history.last_signed
    reason = (
        f"{history.rows} rows are chained, {history.signed_rows} of them signed; the last {tail}"
        " rows have no signature after them."
    )
    return Check("ledger", Outcome.REPRODUCED, reason), history, anchored


def _anchored(anchor: Anchor | None, outcome: Outcome, history: History) -> Check:
    if anchor is None:
        reason = "without an anchor kept elsewhere a cut tail or an old copy cannot be seen."
        return Check("completeness", Outcome.UNCHECKED, reason)
    if outcome is Outcome.DIFFERS:
        reason = f"the anchor of {anchor.time} with {anchor.rows} rows does not lie in this ledger."
        return Check("completeness", outcome, reason)
    exposed = history.rows - anchor.rows
    reason = (
        f"the first {anchor.rows} rows are those anchored at {anchor.time}; exposed window:"
        f" {exposed} rows."
    )
    return Check("completeness", outcome, reason)


def _custodians(suite: Suite, identities: Sequence[Identity]) -> Check:
    known = {identity.fingerprint for identity in identities}
    if not known:
        reason = "whose keys these are is known only where a trusted identity is named."
        return Check("custodians", Outcome.UNCHECKED, reason)
    strangers = [one.name for one in suite.custodians if one.fingerprint not in known]
    if strangers:
        reason = f"not among the identities that were named: {', '.join(strangers)}."
        return Check("custodians", Outcome.DIFFERS, reason)
    names = ", ".join(identity.name for identity in suite.custodians)
    reason = f"sealed for {names}: the identities that were named."
    return Check("custodians", Outcome.REPRODUCED, reason)


def _sealed(folder: Path, suite: Suite, name: str) -> Check:
    shard = suite.shard(name)
    assert shard is not None
    path = shard_path(folder, name)
    if not path.exists():
        reason = "it is not in this copy, so its draws could not be opened here."
        return Check(f"file of {name}", Outcome.UNCHECKED, reason)
    return _file(f"file of {name}", path, shard.sealed)


def _share(folder: Path, fingerprint: str, digest: str) -> Check:
    return _file(f"share of {fingerprint[:8]}", share_path(folder, fingerprint), digest)


def _file(name: str, path: Path, digest: str) -> Check:
    try:
        same = digest_file(path) == digest
    except TomogramError as error:
        return Check(name, Outcome.DIFFERS, str(error))
    if same:
        return Check(name, Outcome.REPRODUCED, "its digest is the one committed to.")
    return Check(name, Outcome.DIFFERS, "its digest is not the one committed to.")


def _spent(suite: Suite, history: History, name: str) -> Check:
    terms, shard = suite.terms, history.shards[name]
    spent = shard.spent
    reached = width(terms.clusters, max(1, spent.asks), terms.alarms, terms.delta)
    reason = (
        f"{spent.asks} of {terms.asks} asks, {spent.alarms - shard.open} of {terms.alarms} alarms,"
        f" {shard.open} never answered; width {reached:.3f} of {terms.width:g}"
        f"{'; burnt' if shard.burnt else ''}."
    )
    return Check(f"budget of {name}", Outcome.REPRODUCED, reason)


def _burnt(suite: Suite, content: Opened) -> Check:
    """Opened draws belong to the shard whose commitment they fit."""
    try:
        root = content.root()
    except (ValueError, TypeError):
        root = ""
    for shard in suite.shards:
        if shard.root == root:
            return _content(suite, shard.name, content)
    return Check("opened draws", Outcome.DIFFERS, "they fit the commitment of no shard.")


def _content(suite: Suite, name: str, content: Opened) -> Check:
    shard = suite.shard(name)
    if shard is None:
        return Check(f"draws of {name}", Outcome.DIFFERS, "the suite has no such shard.")
    try:
        same = len(content.leaves) == shard.leaves and content.root() == shard.root
    except (ValueError, TypeError):
        same = False
    if same:
        reason = f"{shard.leaves - 1} draws and the noise key are those committed to."
        return Check(f"draws of {name}", Outcome.REPRODUCED, reason)
    return Check(f"draws of {name}", Outcome.DIFFERS, "they are not those committed to.")


def _given(suite: Suite, name: str, opened: Sequence[Opened]) -> Opened | None:
    """The content of a shard among those given, by its commitment."""
    for content in opened:
        if _content(suite, name, content).outcome is Outcome.REPRODUCED:
            return content
    return None


def _again(
    suite: Suite,
    shard: str,
    opened: Opened,
    question: Question,
    model: Subject,
    recorded: Answer,
) -> Check:
    name = f"{question.name} on {shard}"
    answers = {Answer.ABSTAIN}
    if askable(question, model):
        answers = {
            judged(suite, opened, question, model, backwards=backwards)
            for backwards in (False, True)
        }
    if answers == {recorded}:
        return Check(name, Outcome.REPRODUCED, f"{recorded} again.")
    if recorded in answers:
        reason = "the mean lies so close to the threshold that the order of measuring decides."
        return Check(name, Outcome.UNCHECKED, reason)
    return Check(name, Outcome.DIFFERS, f"{recorded} is recorded, {answers.pop()} was measured.")
