"""Who may act on a suite: every custodian, with a key that has not expired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from tomogram.custody.history import History
from tomogram.custody.keys import Key
from tomogram.custody.ledger import Held
from tomogram.custody.refusal import Refused
from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError


def all_custodians(history: History, keys: Sequence[Key], now: str) -> list[Key]:
    """All custodians' keys, in the suite's order.

    `now` is a time as the ledger writes it; it never goes back, so no clock revives a key.
    Raises Refused where a key is no custodian's, one is missing, or one has expired.
    """
    known = {identity.fingerprint for identity in history.custodians}
    given = {key.identity.fingerprint: key for key in keys}
    for fingerprint, key in given.items():
        if fingerprint not in known:
            raise Refused("wrong key", f"The key of {key.identity.name} is no custodian's.")
    for identity in history.custodians:
        if identity.fingerprint not in given:
            raise Refused("missing party", f"The key of {identity.name} is needed, too.")
        if identity.expired(now):
            raise Refused(
                "expired key", f"The key of {identity.name} expired after {identity.last_day}."
            )
    return [given[identity.fingerprint] for identity in history.custodians]


def refuse(
    refused: Refused, history: History, held: Held, body: Mapping[str, Json], keys: Sequence[Key]
) -> NoReturn:
    """Record a refusal, signed by those of the keys that count, and raise it.

    Where it cannot be recorded it is a refusal all the same, and says so.
    """
    try:
        row = {**body, "reason": refused.reason}
        held.append("refusal", row, known_keys(history, keys, held))
    except TomogramError as error:
        raise Refused(refused.reason, f"{refused} (Not recorded: {error})") from error
    raise refused


def known_keys(history: History, keys: Sequence[Key], held: Held) -> list[Key]:
    """The keys among those given whose signature the ledger accepts now."""
    known = {identity.fingerprint for identity in history.custodians}
    now = held.now()
    return [
        key for key in keys if key.identity.fingerprint in known and not key.identity.expired(now)
    ]
