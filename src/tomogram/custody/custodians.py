"""Who may act on a suite: every custodian, by a key here or by a consent given elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tomogram.custody import sealing
from tomogram.custody.consent import Given, problem
from tomogram.custody.history import History
from tomogram.custody.keys import Identity, Key
from tomogram.custody.ledger import Held
from tomogram.custody.refusal import Refused
from tomogram.custody.suite import Suite, read_share
from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError


@dataclass(frozen=True)
class Custodians:
    """All custodians of a suite.

    order: fingerprints, in the suite's order. keys: of those who are here. consents: of the
    others, by fingerprint.
    """

    order: tuple[str, ...]
    keys: tuple[Key, ...]
    consents: Mapping[str, Given]

    def signed(self, body: Mapping[str, Json]) -> dict[str, Json]:
        """A row's body with the consents it rests on."""
        if not self.consents:
            return dict(body)
        return {**body, "consents": {by: given.in_row() for by, given in self.consents.items()}}

    def parts(self, folder: Path, suite: Suite, shard: str) -> list[bytes]:
        """What everybody's share gives to open a shard, in the suite's order.

        Raises TomogramError where a share or a part is missing, was changed, or is another key's.
        """
        keys = {key.identity.fingerprint: key for key in self.keys}
        found = []
        for fingerprint in self.order:
            key = keys.get(fingerprint)
            if key is not None:
                found.append(sealing.part(read_share(folder, suite, key), shard))
                continue
            given = self.consents[fingerprint]
            to = keys[given.consent.to]
            found.append(sealing.handed_over(suite.name, shard, given.sealed_part, to))
        return found


def all_custodians(
    history: History,
    keys: Sequence[Key],
    consents: Sequence[Given],
    kind: str,
    body: Mapping[str, Json],
    now: str,
) -> Custodians:
    """All custodians, each by key or by consent to a row of this kind and body.

    `now` is a time as the ledger writes it; it never goes back, so no clock revives a key.
    Raises Refused where a key or a consent is no custodian's, a consent does not allow this, a
    custodian is missing, or a key has expired.
    """
    known = {identity.fingerprint: identity for identity in history.custodians}
    given = {key.identity.fingerprint: key for key in keys}
    for fingerprint, key in given.items():
        if fingerprint not in known:
            raise Refused("wrong key", f"The key of {key.identity.name} is no custodian's.")
    agreed = {each.by: each for each in consents if each.by not in given}
    for fingerprint, consent in agreed.items():
        if fingerprint not in known:
            raise Refused("wrong consent", "A consent is given by somebody who is no custodian.")
        _check(consent, known[fingerprint], history, given, kind, body, now)
    for fingerprint, identity in known.items():
        if fingerprint not in given and fingerprint not in agreed:
            raise Refused(
                "missing party", f"The key or the consent of {identity.name} is needed, too."
            )
        if identity.expired(now):
            raise Refused(
                "expired key", f"The key of {identity.name} expired after {identity.last_day}."
            )
    order = tuple(known)
    return Custodians(order, tuple(given[each] for each in order if each in given), agreed)


def openers(
    history: History, keys: Sequence[Key], consents: Sequence[Given], shard: str
) -> Custodians:
    """Those who together can open a shard again, to check it: nothing is asked and nothing charged.

    A consent that was given to any act on this shard carries what opens it.
    Raises TomogramError where somebody is missing.
    """
    given = {key.identity.fingerprint: key for key in keys}
    agreed = {
        each.by: each
        for each in consents
        if each.by not in given
        and each.consent.body.get("shard") == shard
        and each.consent.to in given
    }
    for identity in history.custodians:
        if identity.fingerprint not in given and identity.fingerprint not in agreed:
            raise TomogramError(f"The key or the consent of {identity.name} is needed, too.")
    order = tuple(identity.fingerprint for identity in history.custodians)
    return Custodians(order, tuple(given[each] for each in order if each in given), agreed)


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


def _check(
    given: Given,
    by: Identity,
    history: History,
    keys: Mapping[str, Key],
    kind: str,
    body: Mapping[str, Json],
    now: str,
) -> None:
    consent, name = given.consent, f"The consent of {by.name} does not hold"
    if consent.suite != history.suite_digest:
        raise Refused("wrong consent", f"{name}: it is about another suite.")
    if (consent.kind, consent.body) != (kind, dict(body)):
        raise Refused("wrong consent", f"{name}: it is about something else.")
    # An act that was begun under a consent may be finished after its last moment.
    time = min(now, consent.until) if _begun(history, kind, body) else now
    wrong = problem(consent, given.signature, by, acting=keys, heads=history.heads, time=time)
    if wrong:
        raise Refused(wrong.reason, f"{name}: {wrong.clause}.")


def _begun(history: History, kind: str, body: Mapping[str, Json]) -> bool:
    shard = history.shards.get(str(body.get("shard")))
    if shard is None:
        return False
    if kind == "burn":
        return shard.burnt
    return (str(body.get("question")), str(body.get("model"))) in shard.answers
