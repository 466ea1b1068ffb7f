"""Sign a folder of evidence as an in-toto statement in a DSSE envelope.

Statement: in-toto attestation v1. Envelope: DSSE v1, by securesystemslib. Whoever has in-toto's
tools can check both; the predicate is ours and says how a suite was used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import Error as SigningLibraryError
from securesystemslib.signer import CryptoSigner, SSlibKey

from tomogram.custody import ledger as ledgers
from tomogram.custody.asking import state
from tomogram.custody.budget import bits
from tomogram.custody.history import Answer, History
from tomogram.custody.keys import Identity, Key
from tomogram.custody.ledger import Ledger
from tomogram.custody.suite import ledger_path, load
from tomogram.custody.verify import Check, Outcome
from tomogram.store.atomic import write_json
from tomogram.store.canonical import Json, canonical_json, readable_json
from tomogram.store.digest import digest_file, files_below
from tomogram.store.errors import TomogramError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:tomogram:custody:v1"
FILE = "statement.dsse.json"
"""The envelope's name in the folder it speaks of; it is not among its own subjects."""


@dataclass(frozen=True)
class Use:
    """How one suite was used, as a statement says it."""

    suite: str
    history: History

    def to_json(self) -> dict[str, Json]:
        """What was asked; per shard asks, answers by kind, asks never answered, bits, burnt."""
        terms = self.history.suite.terms
        shards: dict[str, Json] = {}
        for name, shard in self.history.shards.items():
            answers = list(shard.answers.values())
            shards[name] = {
                "asks": len(answers),
                "answers": {str(word): answers.count(word) for word in Answer},
                "never_answered": shard.open,
                "bits": round(bits(len(answers), terms.alarms), 3),
                "burnt": shard.burnt,
            }
        return {
            "suite": self.suite,
            "questions": {
                name: {"version": asked.version, "threshold": asked.threshold}
                for name, asked in self.history.suite.questions.items()
            },
            "ledger": {"rows": self.history.rows, "head": self.history.head},
            "refusals": self.history.refusals,
            "shards": shards,
            "withheld": ["draws of shards that are not burnt", "scores"],
        }


def use_of(folder: Path) -> Use:
    """How a suite was used so far, for a statement. Raises TomogramError where it is damaged."""
    suite = load(folder)
    with Ledger(ledger_path(folder)).held() as held:
        return Use(suite.name, state(folder, suite, held))


def sign_folder(folder: Path, uses: Sequence[Use], key: Key) -> Path:
    """Sign all files of a folder with what the suites were used for; return the envelope's path.

    Raises TomogramError where the folder has no files or cannot be written.
    """
    digests = _digests(folder)
    if not digests:
        raise TomogramError(f"There is nothing to sign in {folder}.")
    statement: dict[str, Json] = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": sha}} for name, sha in digests.items()],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "signer": key.identity.model_dump(),
            "uses": [use.to_json() for use in uses],
        },
    }
    envelope = Envelope(canonical_json(statement).encode("ascii"), PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(key.signer, _library_key(key.identity)))
    path = folder / FILE
    write_json(path, envelope.to_dict())
    return path


def verify_folder(folder: Path, identities: Sequence[Identity]) -> list[Check]:
    """Check a signed folder: whose signature it is, and that every file is the one signed."""
    read = _statement(folder)
    if isinstance(read, Check):
        return [read]
    envelope, statement = read
    try:
        signer = Identity.model_validate(statement["predicate"]["signer"])
        named = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    except (ValueError, KeyError, TypeError):
        return [_no_statement()]
    return [_signature(envelope, signer, identities), _files(folder, named)]


def verify_use(folder: Path, suite_folder: Path) -> Check:
    """Check what a signed folder says of a suite's use against that suite's ledger.

    The ledger may have grown since; up to the row that the statement names it must say the same.
    """
    try:
        suite = load(suite_folder)
        digest = digest_file(suite_folder / "suite.json")
    except TomogramError as error:
        return Check("use", Outcome.UNCHECKED, str(error))
    name = f"use of {suite.name}"
    read = _statement(folder)
    if isinstance(read, Check):
        return Check(name, read.outcome, read.reason)
    try:
        uses = {str(use["suite"]): use for use in read[1]["predicate"]["uses"]}
        said = uses.get(suite.name)
        rows = 0 if said is None else int(said["ledger"]["rows"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return Check(name, Outcome.DIFFERS, _no_statement().reason)
    if said is None:
        return Check(name, Outcome.DIFFERS, f"the statement does not tell of {suite.name}.")
    history, told, asked = History(suite, digest), None, 0
    try:
        for row in ledgers.rows(ledger_path(suite_folder)):
            history.add(row)
            asked += row.kind == "ask" and history.rows > rows
            if history.rows == rows:
                told = Use(suite.name, history).to_json()
    except ledgers.Broken as error:
        return Check(name, Outcome.DIFFERS, f"the ledger cannot be trusted: {error}.")
    except TomogramError as error:
        return Check(name, Outcome.UNCHECKED, str(error))
    if told is None:
        reason = f"the statement names {rows} rows, and the ledger has {history.rows}."
        return Check(name, Outcome.DIFFERS, reason)
    if told != said:
        reason = f"up to row {rows - 1} the ledger tells otherwise than the statement."
        return Check(name, Outcome.DIFFERS, reason)
    reason = f"up to row {rows - 1} the ledger tells what it does; {asked} asks came after."
    return Check(name, Outcome.REPRODUCED, reason)


def _statement(folder: Path) -> tuple[Envelope, Any] | Check:
    """The envelope in a folder and what it says, or why there is none."""
    try:
        content = (folder / FILE).read_bytes()
    except OSError:
        return Check("statement", Outcome.UNCHECKED, f"the folder is not signed (no {FILE}).")
    try:
        envelope = Envelope.from_dict(json.loads(content))
        if readable_json(envelope.to_dict()).encode("ascii") != content:
            raise ValueError("the envelope has another spelling than ours")
        statement = json.loads(envelope.payload)
        types = (envelope.payload_type, statement["_type"], statement["predicateType"])
        if types != (PAYLOAD_TYPE, STATEMENT_TYPE, PREDICATE_TYPE):
            raise ValueError("the statement is about something else")
    except (ValueError, KeyError, TypeError, AttributeError, SigningLibraryError, RecursionError):
        return _no_statement()
    return envelope, statement


def _no_statement() -> Check:
    reason = f"{FILE} is no statement about custody, or was changed."
    return Check("statement", Outcome.DIFFERS, reason)


def _signature(envelope: Envelope, signer: Identity, identities: Sequence[Identity]) -> Check:
    try:
        envelope.verify([_library_key(signer)], threshold=1)
    except (SigningLibraryError, ValueError):
        reason = f"the signature is not that of {signer.name}, whom it names."
        return Check("statement", Outcome.DIFFERS, reason)
    if not identities:
        reason = f"signed by {signer.name}; no identity was named to know that key by."
        return Check("statement", Outcome.UNCHECKED, reason)
    if signer.fingerprint not in {identity.fingerprint for identity in identities}:
        reason = f"signed by {signer.name}, who is not among the identities that were named."
        return Check("statement", Outcome.DIFFERS, reason)
    reason = f"signed by {signer.name}, an identity that was named."
    return Check("statement", Outcome.REPRODUCED, reason)


def _files(folder: Path, named: Mapping[str, str]) -> Check:
    found = _digests(folder)
    wrong = sorted(
        name for name in named.keys() | found.keys() if named.get(name) != found.get(name)
    )
    if wrong:
        shown = ", ".join(wrong[:3]) + (" and more" if len(wrong) > 3 else "")
        return Check("files", Outcome.DIFFERS, f"changed, missing or added: {shown}.")
    return Check("files", Outcome.REPRODUCED, f"all {len(named)} files are those signed.")


def _digests(folder: Path) -> dict[str, str]:
    return {name: digest_file(folder / name) for name in files_below(folder) if name != FILE}


def _library_key(identity: Identity) -> SSlibKey:
    return SSlibKey(identity.fingerprint, "ed25519", "ed25519", {"public": identity.signing})
