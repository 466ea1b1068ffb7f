"""What custodians do besides asking: burn a shard, exchange a key, sign the ledger."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tomogram.custody import sealing
from tomogram.custody.asking import state
from tomogram.custody.budget import bits
from tomogram.custody.clock import Clock, utc_now
from tomogram.custody.consent import Given
from tomogram.custody.custodians import Custodians, all_custodians, known_keys, refuse
from tomogram.custody.history import History
from tomogram.custody.keys import Key
from tomogram.custody.ledger import Held, Ledger
from tomogram.custody.refusal import Refused
from tomogram.custody.suite import ledger_path, load, open_shard, read_share, share_path
from tomogram.store.atomic import explained, write_bytes
from tomogram.store.canonical import Json, readable_json
from tomogram.store.digest import digest_bytes
from tomogram.store.errors import TomogramError


def burn(
    folder: Path,
    shard: str,
    purpose: str,
    keys: Sequence[Key],
    out: Path,
    *,
    consents: Sequence[Given] = (),
    clock: Clock = utc_now,
) -> None:
    """Open a shard for treatment: record that it is burnt, then write its content to `out`.

    Custodians who are not here take part by consent. Raises Refused where keys and consents do not
    allow it, TomogramError where there is no such shard or `out` exists.
    """
    suite = load(folder)
    commitment = suite.shard(shard)
    if commitment is None:
        raise TomogramError(f"The suite has no shard {shard}.")
    if out.exists():
        raise TomogramError(f"{out} exists and is not overwritten.")
    with Ledger(ledger_path(folder), clock=clock).held() as held:
        history = state(folder, suite, held)
        body: dict[str, Json] = {"shard": shard, "purpose": purpose}
        custodians = _permitted(history, held, body, keys, consents)
        parts = custodians.parts(folder, suite, shard)
        opened = open_shard(folder, suite, commitment, parts)
        if not history.shards[shard].burnt:
            held.append("burn", custodians.signed(body), custodians.keys)
    with explained(out):
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(readable_json(opened.to_json()))


def rotate(folder: Path, old: Key, new: Key, *, clock: Clock = utc_now) -> None:
    """Exchange a custodian's key, before its last day is over.

    The old share stays readable to the old key: rotation is for keys that expire or change hands,
    not for stolen ones. Raises Refused where the old key is no custodian's or has expired.
    """
    suite = load(folder)
    with Ledger(ledger_path(folder), clock=clock).held() as held:
        history = state(folder, suite, held)
        prints = [identity.fingerprint for identity in history.custodians]
        try:
            _exchangeable(history, old, new, held.now())
        except Refused as refused:
            refuse(refused, history, held, {"old": old.identity.fingerprint}, [old])
        if new.identity.fingerprint in prints:
            raise TomogramError(f"The key of {new.identity.name} is a custodian's already.")
        share = read_share(folder, suite, old)
        resealed = sealing.seal_share(suite.name, share, new.identity)
        # The file first: until the row names it, it means nothing.
        write_bytes(share_path(folder, new.identity.fingerprint), resealed)
        held.append(
            "rotate",
            {
                "old": old.identity.fingerprint,
                "identity": new.identity.model_dump(),
                "share": digest_bytes(resealed),
            },
            [old, new],
        )


def _exchangeable(history: History, old: Key, new: Key, now: str) -> None:
    """Raise Refused where the old key is no custodian's or either has expired."""
    if old.identity.fingerprint not in {each.fingerprint for each in history.custodians}:
        raise Refused("wrong key", f"The key of {old.identity.name} is no custodian's.")
    for key in (old, new):
        if key.identity.expired(now):
            raise Refused("expired key", f"The key of {key.identity.name} has expired.")


def checkpoint(folder: Path, keys: Sequence[Key], *, clock: Clock = utc_now) -> None:
    """Append a signed row, so that the unsigned rows before it are covered by a signature.

    Raises Refused where no key given is a custodian's.
    """
    suite = load(folder)
    with Ledger(ledger_path(folder), clock=clock).held() as held:
        signers = known_keys(state(folder, suite, held), keys, held)
        if not signers:
            refused = Refused("wrong key", "No key given is a custodian's that has not expired.")
            refuse(refused, state(folder, suite, held), held, {}, keys)
        held.append("checkpoint", {}, signers)


@dataclass(frozen=True)
class Standing:
    """How much of a shard is left."""

    shard: str
    asks: int
    asks_allowed: int
    alarms: int
    alarms_allowed: int
    open: int
    bits: float
    burnt: bool


def standing(folder: Path) -> list[Standing]:
    """What every shard has spent. Raises TomogramError where the ledger is damaged."""
    suite = load(folder)
    with Ledger(ledger_path(folder)).held() as held:
        history = state(folder, suite, held)
    terms = suite.terms
    return [
        Standing(
            shard=name,
            asks=shard.spent.asks,
            asks_allowed=terms.asks,
            alarms=shard.spent.alarms - shard.open,
            alarms_allowed=terms.alarms,
            open=shard.open,
            bits=bits(shard.spent.asks, terms.alarms),
            burnt=shard.burnt,
        )
        for name, shard in history.shards.items()
    ]


def _permitted(
    history: History,
    held: Held,
    body: dict[str, Json],
    keys: Sequence[Key],
    consents: Sequence[Given],
) -> Custodians:
    try:
        return all_custodians(history, keys, consents, "burn", body, held.now())
    except Refused as refused:
        refuse(refused, history, held, body, keys)
