"""Commit to many values with one digest, and prove later that a value was among them.

The tree of RFC 6962, section 2.1 (SHA-256, leaves and inner nodes hashed with different prefixes),
over leaves that carry a salt, so that a guessed value cannot be confirmed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from tomogram.store.canonical import Json, canonical_json

SALT_BYTES = 32


@dataclass(frozen=True)
class Leaf:
    """A committed value with its salt (hexadecimal, 32 bytes)."""

    salt: str
    value: Json

    def digest(self) -> bytes:
        """SHA-256 of 0, the salt and the value's canonical JSON."""
        data = canonical_json(self.value).encode("ascii")
        return hashlib.sha256(b"\x00" + bytes.fromhex(self.salt) + data).digest()


def root(digests: Sequence[bytes]) -> str:
    """The root over leaf digests, hexadecimal. Raises ValueError where there is no leaf."""
    if not digests:
        raise ValueError("a tree needs a leaf")
    return _root(digests).hex()


def path(digests: Sequence[bytes], index: int) -> list[str]:
    """The sibling digests from a leaf up to the root (RFC 6962, section 2.1.1), hexadecimal.

    Raises IndexError where there is no such leaf.
    """
    if not 0 <= index < len(digests):
        raise IndexError(index)
    if len(digests) == 1:
        return []
    split = _split(len(digests))
    if index < split:
        return [*path(digests[:split], index), _root(digests[split:]).hex()]
    return [*path(digests[split:], index - split), _root(digests[:split]).hex()]


def proves(digest: bytes, index: int, size: int, siblings: Sequence[str], expected: str) -> bool:
    """Whether `siblings` lead from leaf `index` of `size` leaves to the root `expected`."""
    try:
        return _climb(digest, index, size, list(siblings)).hex() == expected
    except (ValueError, IndexError):
        return False


def _climb(digest: bytes, index: int, size: int, siblings: list[str]) -> bytes:
    if not 0 <= index < size:
        raise IndexError(index)
    if size == 1:
        if siblings:
            raise ValueError("the path is too long")
        return digest
    sibling, split = bytes.fromhex(siblings[-1]), _split(size)
    if index < split:
        return _node(_climb(digest, index, split, siblings[:-1]), sibling)
    return _node(sibling, _climb(digest, index - split, size - split, siblings[:-1]))


def _root(digests: Sequence[bytes]) -> bytes:
    if len(digests) == 1:
        return digests[0]
    split = _split(len(digests))
    return _node(_root(digests[:split]), _root(digests[split:]))


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
