"""Agree from afar: give a consent, and follow the ledger that somebody else has written on.

Two custodians on two machines need no connection. One gives a consent, a file; the other acts and
writes the ledger; the first takes the new rows over. Each one's copy is an anchor of the other's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from tomogram.custody import ledger as ledgers
from tomogram.custody import sealing
from tomogram.custody.asking import state
from tomogram.custody.clock import Clock, utc_now, written
from tomogram.custody.consent import Consent, Given, Kind
from tomogram.custody.history import History, replay
from tomogram.custody.keys import Identity, Key
from tomogram.custody.ledger import Broken, Ledger
from tomogram.custody.suite import Suite, ledger_path, load, read_share, share_path
from tomogram.store.atomic import write_bytes
from tomogram.store.digest import digest_bytes, digest_file
from tomogram.store.errors import TomogramError


def give_consent(
    folder: Path,
    kind: Kind,
    body: Mapping[str, str],
    key: Key,
    to: Identity,
    *,
    days: int = 7,
    clock: Clock = utc_now,
) -> Given:
    """Agree that another custodian does one thing with a suite. Nothing is written.

    Args:
        folder: the suite, or a copy of it without shards.
        kind: what may be done.
        body: of the row: shard, question and model of an ask; shard and purpose of a burn.
        key: of the custodian who agrees.
        to: the custodian who may act, and who can open this one shard from then on.
        days: how long the consent holds.

    Raises TomogramError where one of the two is no custodian of the suite or its key has expired,
    the suite has no such shard or question, or its ledger is damaged.
    """
    suite = load(folder)
    history = _history(folder, suite, ledger_path(folder))
    now = clock()
    _check_parties(history, key.identity, to, written(now))
    if suite.shard(body["shard"]) is None:
        raise TomogramError(f"The suite has no shard {body['shard']}.")
    if kind == "ask" and body["question"] not in suite.questions:
        raise TomogramError(f"The suite has no question {body['question']}.")
    part = sealing.part(read_share(folder, suite, key), body["shard"])
    sealed = sealing.hand_over(suite.name, body["shard"], part, to)
    row = max(history.heads)
    consent = Consent(
        suite=history.suite_digest,
        kind=kind,
        body=dict(body),
        row=row,
        head=history.heads[row],
        to=to.fingerprint,
        until=written(now + timedelta(days=days)),
        part=digest_bytes(sealed),
    )
    return Given(consent, key.identity.fingerprint, key.sign(consent.signed_bytes()), sealed)


def follow(folder: Path, other: Path) -> int:
    """Take over the rows that another copy of a suite's ledger has beyond this one.

    Args:
        folder: the suite whose ledger grows.
        other: the other ledger's file; shares of exchanged keys lie beside it in `shares`.

    Returns how many rows came. Raises TomogramError where the other ledger is damaged, or is not
    this one with more rows behind it: then rows were taken away, or both were written on.
    """
    suite = load(folder)
    with Ledger(ledger_path(folder)).held() as held:
        known, newer = state(folder, suite, held), _history(folder, suite, other)
        if newer.rows < known.rows or (newer.rows == known.rows and newer.head != known.head):
            raise _forked(other, known)
        for fingerprint, digest in newer.shares.items():
            _take_share(folder, other.parent / "shares", fingerprint, digest)
        try:
            return held.take(other)
        except Broken as error:
            raise _forked(other, known) from error


def _forked(other: Path, known: History) -> TomogramError:
    return TomogramError(
        f"{other} does not begin with the {known.rows} rows of this ledger: rows were taken away or"
        " changed, or both copies were written on."
    )


def _history(folder: Path, suite: Suite, path: Path) -> History:
    try:
        return replay(suite, digest_file(folder / "suite.json"), ledgers.rows(path))
    except Broken as error:
        raise TomogramError(f"The ledger {path} cannot be trusted: {error}.") from error


def _check_parties(history: History, own: Identity, to: Identity, now: str) -> None:
    prints = {each.fingerprint for each in history.custodians}
    for identity in (own, to):
        if identity.fingerprint not in prints:
            raise TomogramError(f"The key of {identity.name} is no custodian's of this suite.")
        if identity.expired(now):
            raise TomogramError(f"The key of {identity.name} expired after {identity.last_day}.")
    if own.fingerprint == to.fingerprint:
        raise TomogramError("A consent is given to another custodian, not to oneself.")


def _take_share(folder: Path, shares: Path, fingerprint: str, digest: str) -> None:
    """Copy the share of an exchanged key, where it came along and is the one the ledger names."""
    path, came = share_path(folder, fingerprint), shares / f"{fingerprint}.sealed"
    if path.exists() or not came.exists():
        return
    data = came.read_bytes()
    if digest_bytes(data) != digest:
        raise TomogramError(f"{came} is not the share that the ledger names.")
    write_bytes(path, data)
