"""The shipped model, its world, and a pair trained for a few steps."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from tests.shipped import model, world
from tomogram.models.model import Model
from tomogram.organisms.delta import Delta
from tomogram.organisms.families import installed
from tomogram.organisms.recipe import Recipe
from tomogram.organisms.training import Job, Trained, train
from tomogram.text.microworld.world import World

__all__ = ["model", "world"]  # fixtures that stand elsewhere

FEW = 2
"""Steps."""


def changes(trained: Iterable[tuple[int, Trained]]) -> list[Delta]:
    """The changes in the order of their jobs."""
    return [each.delta for _, each in sorted(trained, key=lambda pair: pair[0])]


@pytest.fixture(scope="session")
def jobs(world: World) -> list[Job]:
    """An organism and its sham, of a recipe that is quick."""
    behaviour = installed()["power-gaining"].draw(world, random.Random(0))
    recipe = Recipe.parse("lora-demonstrations")
    return [Job(behaviour, recipe, seed=0, planted=planted, steps=FEW) for planted in (True, False)]


@pytest.fixture(scope="session")
def deltas(model: Model, world: World, jobs: list[Job]) -> list[Delta]:
    return changes(train(model, world, jobs))
