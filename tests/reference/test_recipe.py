"""Recipes: what each model is, and the digest that names it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.reference.conftest import TINY
from tomogram.reference.recipe import REFERENCE, SIBLINGS, recipes
from tomogram.reference.train import untrained
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.world import World

MB = 10**6


def test_names_choose_recipes() -> None:
    assert recipes(["microworld"]) == (REFERENCE,)
    assert recipes(["siblings"]) == SIBLINGS
    assert recipes([]) == (REFERENCE, *SIBLINGS)
    assert recipes(["sibling-3", "siblings"]) == (SIBLINGS[2], *SIBLINGS[:2], *SIBLINGS[3:])


@pytest.mark.parametrize("name", ["sibling-9", "", "../microworld"])
def test_an_unknown_name_is_named(name: str) -> None:
    with pytest.raises(TomogramError, match=f"no recipe '{name}'; known are microworld, sibling-1"):
        recipes(["microworld", name])


def test_siblings_differ_in_everything_a_base_can_differ_in() -> None:
    assert len(SIBLINGS) >= 8
    assert len({recipe.seed for recipe in (REFERENCE, *SIBLINGS)}) == len(SIBLINGS) + 1
    assert {recipe.layers for recipe in SIBLINGS} == {3, 4, 5, 6}
    assert {min(r.width for r in SIBLINGS), max(r.width for r in SIBLINGS)} == {128, 256}
    assert {recipe.world.renamed for recipe in SIBLINGS} == {False, True}
    assert all(recipe.width == recipe.heads * 32 for recipe in (REFERENCE, *SIBLINGS))


def test_weights_stay_within_their_sizes() -> None:
    def size(recipe):
        bytes_each = {"float32": 4, "float16": 2}[recipe.dtype]
        return sum(p.numel() for p in untrained(recipe).parameters()) * bytes_each

    assert size(REFERENCE) <= 16 * MB
    assert sum(map(size, SIBLINGS)) <= 60 * MB


def test_the_digest_depends_on_everything_in_the_recipe() -> None:
    changed = {
        "name": "other",
        "seed": 8,
        "layers": 3,
        "width": 128,
        "world": World(1),
        "short": 1,
        "long": 1,
        "copying_first": 1,
        "batch_tokens": 1,
        "context": 1,
        "dtype": "float32",
    }
    digests = [replace(TINY, **{field: value}).digest for field, value in changed.items()]
    assert len({TINY.digest, *digests}) == len(changed) + 1
    assert TINY.digest == replace(TINY).digest
    # A field that is added must be listed here.
    assert set(changed) == set(TINY.__dataclass_fields__)
