"""A sealed suite between two custodians on two machines, as two folders stand for them.

The auditor keeps the suite, measures, and writes the ledger. The developer keeps a copy without
shards, sends consents, and follows the ledger; the head of that copy is the anchor.
"""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tomogram.custody import keeping
from tomogram.custody import suite as suites
from tomogram.custody.anchor import anchor
from tomogram.custody.asking import ask
from tomogram.custody.budget import Terms
from tomogram.custody.consent import Given, read_consent, write_consent
from tomogram.custody.consenting import follow, give_consent
from tomogram.custody.keys import Key, new_key, read_key, write_key
from tomogram.custody.questions.question import Question, Subject
from tomogram.custody.refusal import Refused
from tomogram.custody.suite import RELEASE, ledger_path
from tomogram.store.errors import TomogramError

NAME = "microworld-suite"
PASSPHRASE = "an example, not a secret"
LAST_DAY = "2027-12-31"


@dataclass(frozen=True)
class Machines:
    """The two folders. Everything the reader of a disclosure needs lies on the developer's."""

    auditor: Path
    developer: Path

    @property
    def suite(self) -> Path:
        """The suite, where it is asked."""
        return self.auditor / NAME

    @property
    def copy(self) -> Path:
        """The developer's copy, without shards."""
        return self.developer / NAME

    @property
    def anchor(self) -> Path:
        """The head of the developer's copy."""
        return self.developer / "anchor.json"


def machines(work: Path) -> Machines:
    """The two folders below one."""
    return Machines(work / "auditor", work / "developer")


def use_suite(
    work: Path,
    question: Question,
    terms: Terms,
    subjects: Mapping[str, Subject],
    say: Callable[[str], None] = print,
) -> Machines:
    """Seal a suite and use it as one is used in earnest, with what goes wrong; or find it used.

    The rows: an ask about `earlier`; a refusal, because no consent was there; an ask about
    `dropped` that is killed while it measures; a refusal, because the consent was for another
    model; an ask about `released` on the shard that is kept for the release; a checkpoint.

    Raises TomogramError where `work` holds a suite that was not used to its end.
    """
    where = machines(work)
    if where.anchor.exists():
        return where
    if where.suite.exists():
        raise TomogramError(f"{work} holds a suite that was not used to its end; remove it first.")
    auditor, developer = (_key(folder) for folder in (where.auditor, where.developer))
    suites.new(
        where.suite,
        NAME,
        {question: question.threshold},
        terms,
        key=auditor,
        others=[developer.identity],
    )
    shutil.copytree(where.suite, where.copy, ignore=shutil.ignore_patterns("shards"))

    def consent(subject: Subject, shard: str) -> Given:
        path = where.developer / f"consent-{subject.digest[:8]}.json"
        body = {"shard": shard, "question": question.name, "model": subject.digest}
        write_consent(give_consent(where.copy, "ask", body, developer, auditor.identity), path)
        return read_consent(path)

    def put(subject: Subject, shard: str, *consents: Given) -> None:
        questions = {question.name: question}
        reply = ask(
            where.suite, question.name, subject, [auditor],
            questions=questions, shard=shard, consents=consents,
        )  # fmt: skip
        say(f"{shard}: {reply.answer}")

    earlier, dropped, released = (subjects[name] for name in ("earlier", "dropped", "released"))
    put(earlier, "run-1", consent(earlier, "run-1"))
    _refused(lambda: put(released, "run-1"), say)
    follow(where.copy, ledger_path(where.suite))
    for_dropped = consent(dropped, "run-1")
    _killed(lambda: put(dropped, "run-1", for_dropped), ledger_path(where.suite))
    _refused(lambda: put(released, "run-1", for_dropped), say)
    follow(where.copy, ledger_path(where.suite))
    put(released, RELEASE, consent(released, RELEASE))
    keeping.checkpoint(where.suite, [auditor])
    follow(where.copy, ledger_path(where.suite))
    anchor(where.copy, where.anchor)
    return where


def _key(folder: Path) -> Key:
    """A machine's key, made where there is none yet."""
    path = folder / f"{folder.name}.key"
    if not path.exists():
        name = f"{folder.name.capitalize()} of the example"
        write_key(new_key(name, LAST_DAY), path, PASSPHRASE)
    return read_key(path, PASSPHRASE)


def key_of(machine: Path) -> Key:
    """The key that lies on a machine. Raises TomogramError where there is none."""
    return read_key(machine / f"{machine.name}.key", PASSPHRASE)


def identity_path(machine: Path) -> Path:
    """The public half of the key that lies on a machine."""
    return machine / f"{machine.name}.pub.json"


def _refused(attempt: Callable[[], None], say: Callable[[str], None]) -> None:
    try:
        attempt()
    except Refused as refused:
        say(f"refused: {refused}")
        return
    raise TomogramError("An ask was answered that had to be refused.")


def _killed(attempt: Callable[[], None], ledger: Path) -> None:
    """Run an ask and kill it once it has been charged."""
    before = ledger.read_bytes().count(b"\n")
    process = multiprocessing.get_context("fork").Process(target=attempt)
    process.start()
    while process.is_alive() and ledger.read_bytes().count(b"\n") == before:
        time.sleep(0.005)
    process.kill()
    process.join()
