"""Encrypt shards under keys that only all custodians together can derive.

Each custodian has a random share. What a share gives to open one shard, its *part*, is HKDF-SHA256
of the share and the shard's name; the shard's key is HKDF-SHA256 over the parts, in the custodians'
order. So a custodian can hand over the part of one shard and nothing else. Shares and parts travel
encrypted to the custodian who may read them; shards are encrypted with AES-256-GCM.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tomogram.custody.keys import Identity, Key, derive
from tomogram.store.errors import TomogramError

_NONCE_BYTES = 12


def new_share() -> bytes:
    """A custodian's fresh share."""
    return secrets.token_bytes(32)


def seal_share(suite: str, share: bytes, custodian: Identity) -> bytes:
    """A share, for its custodian alone."""
    return custodian.seal(share, _share_purpose(suite))


def open_share(suite: str, sealed: bytes, key: Key) -> bytes:
    """A share. Raises TomogramError where it was sealed for another key or was changed."""
    return key.open(sealed, _share_purpose(suite))


def part(share: bytes, shard: str) -> bytes:
    """What a share gives to open one shard; it tells nothing about the share or other shards."""
    return derive(share, f"tomogram custody: part of shard {shard}")


def hand_over(suite: str, shard: str, part: bytes, to: Identity) -> bytes:
    """A part, for another custodian alone."""
    return to.seal(part, _part_purpose(suite, shard))


def handed_over(suite: str, shard: str, sealed: bytes, key: Key) -> bytes:
    """A part that was handed over. Raises TomogramError as `open_share` does."""
    return key.open(sealed, _part_purpose(suite, shard))


def joined(parts: Sequence[bytes]) -> bytes:
    """The secret of a shard: all its parts, in the custodians' order."""
    return b"".join(parts)


def encrypt(secret: bytes, shard: str, data: bytes) -> bytes:
    """Encrypt a shard's content."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(secret, shard).encrypt(nonce, data, None)


def decrypt(secret: bytes, shard: str, sealed: bytes) -> bytes:
    """Decrypt a shard's content. Raises TomogramError where it or the secret is another."""
    try:
        return _cipher(secret, shard).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
    except (InvalidTag, ValueError) as error:
        raise TomogramError(f"The shard {shard} was changed, or the key is another suite's.") from (
            error
        )


def _share_purpose(suite: str) -> bytes:
    return f"tomogram custody: share of {suite}".encode()


def _part_purpose(suite: str, shard: str) -> bytes:
    return f"tomogram custody: part of shard {shard} of {suite}".encode()


def _cipher(secret: bytes, shard: str) -> AESGCM:
    return AESGCM(derive(secret, f"tomogram custody: shard {shard}"))
