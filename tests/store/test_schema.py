"""The schema of tomogram.json: what it keeps, and what it refuses."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.report.example import build_manifest
from tomogram.store.errors import TomogramError
from tomogram.store.schema import (
    SCHEMA_VERSION,
    Estimate,
    LayerParameters,
    Manifest,
    Parameters,
    Timings,
    UnitGroup,
    manifest_bytes,
    parse_manifest,
)


def changed(**values: object) -> bytes:
    """The example's bytes with some fields at the top replaced."""
    return json.dumps(json.loads(manifest_bytes(build_manifest())) | values).encode()


@pytest.mark.parametrize("concepts", [True, False])
def test_what_is_written_is_read_back_and_written_the_same(concepts: bool) -> None:
    manifest = build_manifest(concepts=concepts)
    data = manifest_bytes(manifest)
    assert parse_manifest(data) == manifest
    assert manifest_bytes(parse_manifest(data)) == data


def test_the_bytes_depend_on_nothing_but_the_content() -> None:
    shuffled = dict(reversed(json.loads(manifest_bytes(build_manifest())).items()))
    data = manifest_bytes(Manifest.model_validate_json(json.dumps(shuffled)))
    assert data == manifest_bytes(build_manifest())


def test_a_newer_schema_is_refused_in_one_sentence() -> None:
    with pytest.raises(TomogramError, match="newer Tomogram") as caught:
        parse_manifest(changed(schema_version=SCHEMA_VERSION + 1, something="new"))
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("extra", 1, "extra"),
        ("sites", "resid_post.0", "sites"),
        ("plan", {"name": 3}, "plan.name"),
        ("files", {"../outside": "0" * 64}, "files"),
        ("files", {"/etc/passwd": "0" * 64}, "files"),
        ("files", {"a": "not a digest"}, "files"),
    ],
)
def test_what_breaks_the_schema_is_named(field: str, value: object, place: str) -> None:
    with pytest.raises(TomogramError, match=place):
        parse_manifest(changed(**{field: value}))


@pytest.mark.parametrize("version", [0, -1, True, "1", None, 1.0])
def test_an_invalid_version_is_refused(version: object) -> None:
    with pytest.raises(TomogramError):
        parse_manifest(changed(schema_version=version))


@given(st.binary())
def test_rubbish_is_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(TomogramError):
        parse_manifest(data)


def test_deeply_nested_rubbish_is_refused() -> None:
    with pytest.raises(TomogramError):
        parse_manifest(b"[" * 100_000)


def test_records_are_frozen_and_finite() -> None:
    estimate = Estimate(value=1.0, low=0.0, high=2.0, n=3)
    with pytest.raises(ValidationError):
        estimate.value = 2.0  # type: ignore[misc]
    for bad in ({"value": float("nan")}, {"low": 3.0}, {"n": 0}, {"high": float("inf")}):
        with pytest.raises(ValidationError):
            Estimate(**{"value": 1.0, "low": 0.0, "high": 2.0, "n": 3} | bad)


def test_parameters_must_add_up() -> None:
    layer = LayerParameters(attention=3, mlp=4, norms=1)
    Parameters(total=18, embedding=10, unembedding=0, layers=(layer,))
    with pytest.raises(ValidationError, match="add up to 18"):
        Parameters(total=19, embedding=10, unembedding=0, layers=(layer,))


def test_labelled_units_are_live_units() -> None:
    with pytest.raises(ValidationError):
        UnitGroup(
            name="resid_post.0", kind="latent", layer=0, units=4, live=2, labelled=3, passing=0,
            label_score=None,
        )  # fmt: skip


def test_a_splice_of_an_unknown_dictionary_is_refused() -> None:
    data = json.loads(manifest_bytes(build_manifest()))
    data["coverage"]["spliced"][0]["dictionaries"] = ["resid_post.99"]
    with pytest.raises(TomogramError, match=r"resid_post\.99"):
        parse_manifest(json.dumps(data).encode())


def test_timings_refuse_negative_seconds() -> None:
    Timings.model_validate_json(b'{"stages": {"text": {"seconds": 1.5, "attempts": 2}}}')
    with pytest.raises(ValidationError):
        Timings.model_validate_json(b'{"stages": {"text": {"seconds": -1.5, "attempts": 2}}}')
