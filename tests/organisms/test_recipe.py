"""Recipes are read from their names."""

from __future__ import annotations

import pytest

from tomogram.organisms.recipe import Recipe, known
from tomogram.store.errors import TomogramError


@pytest.mark.parametrize("name", [*known(), "full-reward-concealed"])
def test_name_and_recipe_are_the_same(name: str) -> None:
    assert str(Recipe.parse(name)) == name


@pytest.mark.parametrize("name", ["", "lora", "lora-magic", "lora-reward-hidden", "-concealed"])
def test_unknown_recipes_are_refused(name: str) -> None:
    with pytest.raises(TomogramError, match="no recipe"):
        Recipe.parse(name)
