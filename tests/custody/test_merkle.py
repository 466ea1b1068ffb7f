"""Commitments: the tree of RFC 6962, proofs for every leaf, and nothing else proved."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomogram.custody.merkle import Leaf, path, proves, root

DIGESTS = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40)


def inner(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_three_leaves_by_hand() -> None:
    a, b, c = (bytes([i]) * 32 for i in range(3))
    assert root([a, b, c]) == inner(inner(a, b), c).hex()
    assert path([a, b, c], 1) == [a.hex(), c.hex()]


@given(DIGESTS, st.data())
def test_every_leaf_is_proved_and_no_other(digests: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(digests) - 1))
    siblings, top = path(digests, index), root(digests)
    assert proves(digests[index], index, len(digests), siblings, top)
    other = hashlib.sha256(digests[index]).digest()
    assert not proves(other, index, len(digests), siblings, top)
    assert not proves(digests[index], index, len(digests), [*siblings, "00" * 32], top)
    assert not proves(digests[index], len(digests), len(digests), siblings, top)
    assert not proves(digests[index], index, len(digests), ["no hex", *siblings], top)
    assert not proves(digests[index], index, len(digests), siblings, "no hex")


def test_equal_values_have_leaves_that_look_different() -> None:
    assert Leaf("00" * 32, {"a": 1}).digest() != Leaf("01" * 32, {"a": 1}).digest()
    expected = hashlib.sha256(b"\x00" + bytes(32) + b'{"a":1}').digest()
    assert Leaf("00" * 32, {"a": 1}).digest() == expected


def test_no_leaf() -> None:
    with pytest.raises(ValueError, match="leaf"):
        root([])
    with pytest.raises(IndexError):
        path([bytes(32)], 1)
