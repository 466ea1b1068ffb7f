"""Fixtures of the shipped model and its world, for the tests that read them."""

from __future__ import annotations

import pytest

from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.reference import path, world_of
from tomogram.text.microworld.world import World


@pytest.fixture(scope="session")
def model() -> Model:
    return load(path())


@pytest.fixture(scope="session")
def world(model: Model) -> World:
    found = world_of(model)
    assert found is not None
    return found
