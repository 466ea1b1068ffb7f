"""Encrypt shards under one key that only all custodians together can derive.

The suite's key is HKDF-SHA256 over one random share per custodian, in the custodians' order; each
share is encrypted to its custodian. Shards are encrypted with AES-256-GCM under keys of their own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tomogram.custody.keys import Identity, Key, derive
from tomogram.store.errors import TomogramError

_SHARE = b"tomogram custody: share of "
_NONCE_BYTES = 12


def new_shares(suite: str, custodians: Sequence[Identity]) -> tuple[bytes, dict[str, bytes]]:
    """A fresh suite key and, by fingerprint, each custodian's sealed share of it."""
    shares = [secrets.token_bytes(32) for _ in custodians]
    sealed = {
        identity.fingerprint: identity.seal(share, _purpose(suite))
        for identity, share in zip(custodians, shares, strict=True)
    }
    return _joined(shares), sealed


def suite_key(suite: str, keys: Sequence[Key], sealed: Mapping[str, bytes]) -> bytes:
    """The suite's key, from every custodian's key in the suite's order.

    Raises TomogramError where a share does not open with its key.
    """
    return _joined([_share(suite, key, sealed) for key in keys])


def reseal(suite: str, old: Key, new: Identity, sealed: Mapping[str, bytes]) -> bytes:
    """The old key's share, sealed for a new identity. Raises TomogramError as `suite_key` does."""
    return new.seal(_share(suite, old, sealed), _purpose(suite))


def encrypt(key: bytes, shard: str, data: bytes) -> bytes:
    """Encrypt a shard's content."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(key, shard).encrypt(nonce, data, None)


def decrypt(key: bytes, shard: str, sealed: bytes) -> bytes:
    """Decrypt a shard's content. Raises TomogramError where it was changed or the key is wrong."""
    try:
        return _cipher(key, shard).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
    except (InvalidTag, ValueError) as error:
        raise TomogramError(f"The shard {shard} was changed, or the key is another suite's.") from (
            error
        )


def _share(suite: str, key: Key, sealed: Mapping[str, bytes]) -> bytes:
    return key.open(sealed[key.identity.fingerprint], _purpose(suite))


def _purpose(suite: str) -> bytes:
    return _SHARE + suite.encode()


def _joined(shares: Sequence[bytes]) -> bytes:
    return derive(b"".join(shares), "tomogram custody: suite")


def _cipher(key: bytes, shard: str) -> AESGCM:
    return AESGCM(derive(key, f"tomogram custody: shard {shard}"))
