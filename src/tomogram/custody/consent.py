"""A custodian's consent to one act on a suite, as a file, for an act on another's machine.

It names everything the act's row will say, how far the ledger had come, who may act and until when,
and carries what the custodian's share gives to open that one shard, encrypted to who may act.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, ValidationError, field_validator

from tomogram.custody import clock as clocks
from tomogram.custody.keys import Identity
from tomogram.store.atomic import write_json
from tomogram.store.canonical import Json, canonical_json
from tomogram.store.digest import digest_bytes
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Digest, Record

Kind = Literal["ask", "burn"]

_PREFIX = b"tomogram custody: consent\n"  # so that no signature of a row is one of a consent
_MOST_BYTES = 1 << 20


class Consent(Record):
    """What is agreed to.

    suite: digest of suite.json. kind and body: the row that may be written, without consents.
    row and head: number and digest of a row that the ledger must hold, the last that counted when
    this was given. to: fingerprint of the custodian who may act. until: the last moment at which
    the row may be written. part: digest of the encrypted part that comes along.
    """

    suite: Digest
    kind: Kind
    body: dict[str, str]
    row: NonNegativeInt
    head: Digest
    to: Digest
    until: str
    part: Digest

    @field_validator("until")
    @classmethod
    def _is_a_time(cls, text: str) -> str:
        clocks.read(text)
        return text

    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return _PREFIX + canonical_json(self.model_dump(mode="json")).encode("ascii")


class InRow(Record):
    """What a row keeps of a consent; the rest of it is the row itself."""

    row: NonNegativeInt
    head: Digest
    to: Digest
    until: str
    part: Digest
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]

    def whole(self, suite: str, kind: str, body: Mapping[str, Json]) -> Consent:
        """The consent again, for the row it stands in. Raises ValueError where it cannot be one."""
        bare = {name: value for name, value in body.items() if name != "consents"}
        kept = self.model_dump(exclude={"signature"})
        return Consent.model_validate({**kept, "suite": suite, "kind": kind, "body": bare})


@dataclass(frozen=True)
class Given:
    """A consent as it is handed over: by whom, signed, with the encrypted part of a shard."""

    consent: Consent
    by: str
    signature: str
    sealed_part: bytes

    def in_row(self) -> dict[str, Json]:
        """What the ledger keeps of it."""
        kept = self.consent.model_dump(exclude={"suite", "kind", "body"})
        return {**kept, "signature": self.signature}


@dataclass(frozen=True)
class Problem:
    """Why a consent does not hold: the reason for the ledger, and a clause for people."""

    reason: Literal["wrong consent", "other ledger", "expired consent"]
    clause: str


def problem(
    consent: Consent,
    signature: str,
    by: Identity,
    *,
    acting: Collection[str],
    heads: Mapping[int, str],
    time: str,
) -> Problem | None:
    """Why a consent does not allow what it names, or None where it does.

    acting: fingerprints of those who act. heads: digests of the ledger's rows that count, by
    number. time: of the row.
    """
    if not by.signed(consent.signed_bytes(), signature):
        return Problem("wrong consent", f"it is not signed by {by.name}")
    if consent.to not in acting:
        return Problem("wrong consent", "it lets somebody else act")
    if heads.get(consent.row) != consent.head:
        return Problem("other ledger", f"it was given to a ledger with another row {consent.row}")
    if time > consent.until:
        return Problem("expired consent", f"it held until {consent.until}")
    return None


def write_consent(given: Given, path: Path) -> None:
    """Write a consent to a file. Raises TomogramError where it cannot be written."""
    write_json(
        path,
        {
            "consent": given.consent.model_dump(mode="json"),
            "by": given.by,
            "signature": given.signature,
            "sealed_part": given.sealed_part.hex(),
        },
    )


def read_consent(path: Path) -> Given:
    """Read what `write_consent` wrote. Raises TomogramError where it is something else."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MOST_BYTES))
        given = Given(
            Consent.model_validate(content["consent"]),
            str(content["by"]),
            str(content["signature"]),
            bytes.fromhex(content["sealed_part"]),
        )
    except (OSError, ValidationError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TomogramError(f"{path} is no custodian's consent.") from error
    if digest_bytes(given.sealed_part) != given.consent.part:
        raise TomogramError(f"{path} was changed: it holds another part than it names.")
    return given
