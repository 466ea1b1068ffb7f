"""Digests: known values, and what they must and must not depend on."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tomogram.store.canonical import canonical_json, readable_json
from tomogram.store.digest import (
    digest_array,
    digest_bytes,
    digest_file,
    digest_folder,
    digest_json,
)
from tomogram.store.errors import TomogramError

# FIPS 180-2, appendix B.1.
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates too: a vocabulary may hold them.
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_known_digest(tmp_path: Path) -> None:
    assert digest_bytes(b"abc") == ABC
    (tmp_path / "f").write_bytes(b"abc")
    assert digest_file(tmp_path / "f") == ABC


@given(json_values)
def test_canonical_json_is_ascii_and_loses_nothing(value: object) -> None:
    import json

    for text in (canonical_json(value), readable_json(value)):  # type: ignore[arg-type]
        assert text.isascii()
        assert json.loads(text) == value


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_digest_ignores_the_order_of_keys(value: dict[str, int]) -> None:
    backwards = dict(reversed(value.items()))
    assert digest_json(backwards) == digest_json(value)


def test_values_without_one_spelling_are_refused() -> None:
    for number in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical_json({"loss": number})
    with pytest.raises(TypeError, match="keys must be strings"):
        canonical_json({"layers": [{1: 2}]})  # type: ignore[dict-item]


def test_folder_digest_sees_names_and_contents_only(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "a").write_bytes(b"1")
    first = digest_folder(tmp_path / "one")
    (tmp_path / "two" / "empty").mkdir()
    assert digest_folder(tmp_path / "two") == first
    (tmp_path / "two" / "sub" / "a").rename(tmp_path / "two" / "a")
    assert digest_folder(tmp_path / "two") != first
    (tmp_path / "one" / "sub" / "a").write_bytes(b"2")
    assert digest_folder(tmp_path / "one") != first


def test_missing_things_are_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match="could not be read"):
        digest_file(tmp_path / "none")
    with pytest.raises(TomogramError, match="no folder"):
        digest_folder(tmp_path / "none")


@given(hnp.arrays(st.sampled_from([np.float32, np.int64, np.bool_, np.uint8]), hnp.array_shapes()))
def test_array_and_tensor_agree_and_layout_does_not_count(array: np.ndarray) -> None:
    digest = digest_array(array)
    assert digest_array(torch.from_numpy(array.copy())) == digest
    assert digest_array(np.asfortranarray(array)) == digest
    assert digest_array(array.astype(array.dtype.newbyteorder(">"))) == digest


def test_array_digest_sees_dtype_shape_and_values() -> None:
    zeros = torch.zeros(6)
    variants = [
        zeros,
        zeros.reshape(2, 3),
        zeros.double(),
        zeros.int(),
        zeros.bfloat16(),
        zeros + 1,
    ]
    assert len({digest_array(tensor) for tensor in variants}) == len(variants)
    assert digest_array(torch.tensor(3.0)) == digest_array(np.float32(3.0))
    with pytest.raises(TypeError, match="Python objects"):
        digest_array(np.array([object()]))
