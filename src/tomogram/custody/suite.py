"""A sealed suite: what is public about it, how it is made, how its shards are opened."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from tomogram.custody import merkle, sealing
from tomogram.custody.budget import Terms
from tomogram.custody.clock import Clock, utc_now, written
from tomogram.custody.keys import Identity, Key
from tomogram.custody.ledger import Ledger
from tomogram.custody.merkle import Leaf
from tomogram.custody.questions.question import Question
from tomogram.store.atomic import replacing_folder, write_bytes, write_json
from tomogram.store.canonical import Json, canonical_json
from tomogram.store.digest import digest_bytes, digest_file
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Digest, Record

RELEASE = "release"
"""Name of the shard that is kept for the release."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?$")]


class Asked(Record):
    """A question as a suite asks it."""

    version: int
    threshold: Annotated[float, Field(ge=0, le=1)]


class Shard(Record):
    """A shard's commitment: the root over its leaves and the digest of its encrypted file."""

    name: Name
    leaves: Annotated[int, Field(ge=2)]
    root: Digest
    sealed: Digest


class Suite(Record):
    """The content of suite.json. Shards other than `release` may be asked during training."""

    format: Literal[2] = 2
    name: Name
    questions: dict[Name, Asked]
    terms: Terms
    custodians: Annotated[tuple[Identity, ...], Field(min_length=1, max_length=8)]
    shards: Annotated[tuple[Shard, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [shard.name for shard in self.shards]
        prints = [identity.fingerprint for identity in self.custodians]
        if len(set(names)) < len(names) or len(set(prints)) < len(prints):
            raise ValueError("two shards or two custodians are the same")
        leaves = 1 + self.terms.clusters * len(self.questions)
        if not self.questions or any(shard.leaves != leaves for shard in self.shards):
            raise ValueError(f"every shard has {leaves} leaves, and there is a question")
        return self

    def shard(self, name: str) -> Shard | None:
        """The shard of this name, or None."""
        return next((shard for shard in self.shards if shard.name == name), None)


@dataclass(frozen=True)
class Opened:
    """A shard's secrets: its leaves in order, the noise key first."""

    leaves: tuple[Leaf, ...]

    @property
    def noise_key(self) -> bytes:
        """The key of the threshold's noise."""
        return bytes.fromhex(_field(self.leaves[0].value, "noise"))

    def draws(self, question: str) -> list[Json]:
        """The sealed draws of one question."""
        values = [leaf.value for leaf in self.leaves[1:]]
        return [
            value["draw"]
            for value in values
            if isinstance(value, Mapping) and value.get("question") == question
        ]

    def root(self) -> str:
        """The root over the leaves, to be compared with the commitment."""
        return merkle.root([leaf.digest() for leaf in self.leaves])

    def to_json(self) -> dict[str, Json]:
        """The form in which it is encrypted, and handed out when the shard is burnt."""
        return {"leaves": [{"salt": leaf.salt, "value": leaf.value} for leaf in self.leaves]}

    @classmethod
    def from_json(cls, data: bytes) -> Opened:
        """Read what `to_json` wrote. Raises TomogramError where it is something else."""
        try:
            leaves = [Leaf(leaf["salt"], leaf["value"]) for leaf in json.loads(data)["leaves"]]
            if not leaves or any(len(bytes.fromhex(leaf.salt)) != 32 for leaf in leaves):
                raise ValueError
        except (ValueError, KeyError, TypeError) as error:
            raise TomogramError("This is not the content of a shard.") from error
        return cls(tuple(leaves))


def ledger_path(folder: Path) -> Path:
    """Where a suite keeps its ledger."""
    return folder / "ledger.jsonl"


def shard_path(folder: Path, shard: str) -> Path:
    """Where a suite keeps an encrypted shard."""
    return folder / "shards" / f"{shard}.sealed"


def share_path(folder: Path, fingerprint: str) -> Path:
    """Where a suite keeps a custodian's sealed share of the key."""
    return folder / "shares" / f"{fingerprint}.sealed"


def load(folder: Path) -> Suite:
    """Read suite.json. Raises TomogramError where there is none or it does not fit the schema."""
    path = folder / "suite.json"
    try:
        return Suite.model_validate_json(path.read_bytes())
    except OSError as error:
        raise TomogramError(f"There is no sealed suite in {folder}.") from error
    except (ValidationError, ValueError) as error:
        raise TomogramError(f"{path} does not fit the schema of a sealed suite.") from error


def new(
    folder: Path,
    name: str,
    questions: Mapping[Question, float],
    terms: Terms,
    *,
    key: Key,
    others: Sequence[Identity] = (),
    run_shards: int = 2,
    clock: Clock = utc_now,
) -> Suite:
    """Draw, encrypt and commit to a suite, and start its ledger; return its public part.

    The folder appears whole or not at all. The seed is forgotten: nobody can draw it again.

    Args:
        folder: where the suite goes; it must not exist.
        questions: thresholds by question.
        terms: what every shard promises.
        key: the custodian who seals.
        others: further custodians; then every ask needs all keys.
        run_shards: shards for use during a run; one for the release is always added.

    Raises TomogramError where the folder exists, a key has expired, or a name cannot be used.
    """
    if folder.exists():
        raise TomogramError(f"{folder} exists; a suite is never overwritten.")
    custodians = (key.identity, *others)
    for identity in custodians:
        if identity.expired(written(clock())):
            raise TomogramError(f"The key of {identity.name} expired after {identity.last_day}.")
    names = [*(f"run-{i + 1}" for i in range(run_shards)), RELEASE]
    shares = {identity: sealing.new_share() for identity in custodians}
    seed = secrets.token_bytes(32)
    with replacing_folder(folder) as work:
        ledger = Ledger(ledger_path(work), clock=clock)
        shards = []
        for shard in names:
            opened = _drawn(seed, shard, list(questions), terms.clusters)
            content = canonical_json(opened.to_json()).encode("ascii")
            parts = [sealing.part(share, shard) for share in shares.values()]
            sealed = sealing.encrypt(sealing.joined(parts), shard, content)
            write_bytes(shard_path(work, shard), sealed)
            shards.append(
                Shard(
                    name=shard,
                    leaves=len(opened.leaves),
                    root=opened.root(),
                    sealed=digest_bytes(sealed),
                )
            )
        suite = _public(name, questions, terms, custodians, shards)
        write_json(work / "suite.json", suite.model_dump(mode="json"))
        sealed_shares = {
            identity.fingerprint: sealing.seal_share(name, share, identity)
            for identity, share in shares.items()
        }
        for fingerprint, data in sealed_shares.items():
            write_bytes(share_path(work, fingerprint), data)
        ledger.create(
            {
                "suite": digest_file(work / "suite.json"),
                "shares": {name: digest_bytes(data) for name, data in sealed_shares.items()},
            },
            [key],
        )
    return suite


def read_share(folder: Path, suite: Suite, key: Key) -> bytes:
    """A custodian's share of the suite's keys.

    Raises TomogramError where its file is missing, was changed, or is another key's.
    """
    path = share_path(folder, key.identity.fingerprint)
    return sealing.open_share(suite.name, _read(folder, path), key)


def open_shard(folder: Path, suite: Suite, shard: Shard, parts: Sequence[bytes]) -> Opened:
    """Decrypt a shard with what all custodians' shares give to open it, in the suite's order.

    Raises TomogramError where its file is missing, was changed, or does not open.
    """
    sealed = read_sealed(folder, shard)
    return Opened.from_json(sealing.decrypt(sealing.joined(parts), shard.name, sealed))


def read_sealed(folder: Path, shard: Shard) -> bytes:
    """A shard's encrypted file. Raises TomogramError where it is missing or was changed."""
    sealed = _read(folder, shard_path(folder, shard.name))
    if digest_bytes(sealed) != shard.sealed:
        raise TomogramError(f"The file of shard {shard.name} is not the one that was committed to.")
    return sealed


def generator(seed: bytes, *purpose: str) -> random.Random:
    """A generator for one purpose; what it draws tells nothing about another purpose's draws."""
    message = "\x00".join(purpose).encode()
    return random.Random(hmac.digest(seed, message, hashlib.sha256))


def _read(folder: Path, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TomogramError(f"The suite {folder} lacks the file {path}.") from error


def _drawn(seed: bytes, shard: str, questions: Sequence[Question], clusters: int) -> Opened:
    values: list[Json] = [{"noise": secrets.token_hex(32)}]
    values += [
        {
            "question": question.name,
            "draw": question.draw(generator(seed, shard, question.name, str(i))),
        }
        for question in questions
        for i in range(clusters)
    ]
    return Opened(tuple(Leaf(secrets.token_hex(merkle.SALT_BYTES), value) for value in values))


def _public(
    name: str,
    questions: Mapping[Question, float],
    terms: Terms,
    custodians: Sequence[Identity],
    shards: Sequence[Shard],
) -> Suite:
    try:
        return Suite(
            name=name,
            questions={
                question.name: Asked(version=question.version, threshold=threshold)
                for question, threshold in questions.items()
            },
            terms=terms,
            custodians=tuple(custodians),
            shards=tuple(shards),
        )
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise TomogramError(f"The suite cannot be made: {reason}.") from error


def _field(value: Json, name: str) -> str:
    if not isinstance(value, Mapping) or not isinstance(value.get(name), str):
        raise TomogramError("This is not the content of a shard.")
    return str(value[name])
