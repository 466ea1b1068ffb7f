"""Custodians' keys: files that only their owner can read, under a passphrase.

One random 32-byte secret makes both keys of a custodian: Ed25519 to sign (RFC 8032) and X25519 to
open what was sealed for them (RFC 7748), through HKDF-SHA256 with different labels. In the file the
secret is encrypted with AES-256-GCM under scrypt of the passphrase (RFC 7914); the public half
stands beside it in clear and is authenticated with it.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import Field, ValidationError, field_validator

from tomogram.store.atomic import explained
from tomogram.store.canonical import canonical_json, readable_json
from tomogram.store.digest import digest_json
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Digest, Record

_HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_COST = 1 << 15  # scrypt's N with r = 8 and p = 1: 32 MiB and about a tenth of a second
_MOST_COST = 1 << 20  # a hostile key file must not take all memory


class Identity(Record):
    """The public half of a custodian's key. It may sign and open up to and with its last day."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    signing: Digest
    """Ed25519 public key, 32 bytes in hexadecimal."""
    sealing: Digest
    """X25519 public key, 32 bytes in hexadecimal."""
    last_day: str
    """ISO date in UTC."""

    @field_validator("last_day")
    @classmethod
    def _is_a_date(cls, day: str) -> str:
        if datetime.strptime(day, "%Y-%m-%d").strftime("%Y-%m-%d") != day:
            raise ValueError("a last day looks like 2030-12-31")
        return day

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the whole identity, name and last day included."""
        return digest_json(self.model_dump())

    @cached_property
    def _verifier(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.signing))

    def signed(self, data: bytes, signature: str) -> bool:
        """Whether a signature (hexadecimal) over these bytes is this custodian's."""
        try:
            self._verifier.verify(bytes.fromhex(signature), data)
        except (InvalidSignature, ValueError):
            return False
        return True

    def expired(self, time: str) -> bool:
        """Whether a time, written as in the ledger, lies after the last day."""
        return time[:10] > self.last_day

    def seal(self, data: bytes, purpose: bytes) -> bytes:
        """Encrypt data so that only this custodian can open it, and only for this purpose.

        HPKE (RFC 9180) in base mode, with X25519, HKDF-SHA256 and AES-256-GCM.
        """
        public = X25519PublicKey.from_public_bytes(bytes.fromhex(self.sealing))
        return _HPKE.encrypt(data, public, info=purpose)


@dataclass(frozen=True)
class Key:
    """An unlocked key. Its secret is never printed."""

    identity: Identity
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if _public(self.secret) != (self.identity.signing, self.identity.sealing):
            raise TomogramError(f"The key of {self.identity.name} does not fit its public half.")

    @cached_property
    def signer(self) -> Ed25519PrivateKey:
        """The Ed25519 key, for libraries that sign."""
        return _signing_key(self.secret)

    def sign(self, data: bytes) -> str:
        """Ed25519 signature, hexadecimal."""
        return self.signer.sign(data).hex()

    def open(self, sealed: bytes, purpose: bytes) -> bytes:
        """Decrypt what `Identity.seal` made.

        Raises TomogramError where it was made for somebody else, for another purpose, or changed.
        """
        try:
            return _HPKE.decrypt(sealed, _sealing_key(self.secret), info=purpose)
        except (InvalidTag, ValueError) as error:
            raise TomogramError(
                f"The key of {self.identity.name} does not open this: it was sealed for another"
                " key or was changed."
            ) from error


def new_key(name: str, last_day: str) -> Key:
    """A fresh random key. Raises TomogramError where the name or the day cannot be used."""
    secret = secrets.token_bytes(32)
    signing, sealing = _public(secret)
    try:
        identity = Identity(name=name, signing=signing, sealing=sealing, last_day=last_day)
    except ValidationError as error:
        raise TomogramError(
            "A key needs a name of at most 100 characters and a last day like 2030-12-31."
        ) from error
    return Key(identity, secret)


def write_key(key: Key, path: Path, passphrase: str) -> Path:
    """Write the key file (mode 600) and, beside it, the identity (`.pub.json`); return the latter.

    Raises TomogramError where the passphrase is empty, a file of either name exists, or the place
    cannot be written.
    """
    if not passphrase:
        raise TomogramError("A key needs a passphrase.")
    public_path = path.with_name(f"{path.stem}.pub.json")
    for taken in (path, public_path):
        if taken.exists():
            raise TomogramError(f"{taken} exists; a key is never overwritten.")
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    public = key.identity.model_dump()
    sealed = AESGCM(_stretched(passphrase, salt, _COST)).encrypt(
        nonce, key.secret, canonical_json(public).encode()
    )
    content = readable_json(
        {
            "identity": public,
            "kdf": {"name": "scrypt", "cost": _COST, "salt": salt.hex()},
            "sealed": (nonce + sealed).hex(),
        }
    )
    _create(path, content, 0o600)
    _create(public_path, readable_json(public), 0o644)
    return public_path


def read_key(path: Path, passphrase: str) -> Key:
    """Unlock a key file.

    Raises TomogramError where it is missing, readable by others, damaged, or the passphrase is
    wrong.
    """
    _check_permissions(path)
    try:
        content = json.loads(path.read_bytes())
        identity = Identity.model_validate(content["identity"])
        salt, cost = bytes.fromhex(content["kdf"]["salt"]), content["kdf"]["cost"]
        sealed = bytes.fromhex(content["sealed"])
        if not (isinstance(cost, int) and 2 <= cost <= _MOST_COST and cost.bit_count() == 1):
            raise ValueError("scrypt's cost is out of range")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TomogramError(f"{path} is not a key file of tomogram.") from error
    public = canonical_json(identity.model_dump()).encode()
    try:
        secret = AESGCM(_stretched(passphrase, salt, cost)).decrypt(
            sealed[:12], sealed[12:], public
        )
    except (InvalidTag, ValueError) as error:
        raise TomogramError(f"The passphrase of {path} is wrong, or the file was changed.") from (
            error
        )
    return Key(identity, secret)


def read_identity(path: Path) -> Identity:
    """Read the public half. Raises TomogramError where the file is missing or no identity."""
    try:
        return Identity.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TomogramError(f"{path} is not a public identity (a .pub.json file).") from error


def _create(path: Path, content: str, mode: int) -> None:
    """Write a new file that never exists with wider permissions than `mode`."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _check_permissions(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise TomogramError(f"There is no key file {path}.") from error
    if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
        raise TomogramError(f"{path} can be read by others; run chmod 600 on it.")


def _stretched(passphrase: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(passphrase.encode())


def derive(secret: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose from a secret (HKDF-SHA256, RFC 5869)."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(secret)


def _signing_key(secret: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(derive(secret, "tomogram custody: signing"))


def _sealing_key(secret: bytes) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(derive(secret, "tomogram custody: sealing"))


def _public(secret: bytes) -> tuple[str, str]:
    return (
        _signing_key(secret).public_key().public_bytes_raw().hex(),
        _sealing_key(secret).public_key().public_bytes_raw().hex(),
    )
