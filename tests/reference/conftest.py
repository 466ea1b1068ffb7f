"""A recipe that trains in seconds, and what it makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tomogram.reference.build import build
from tomogram.reference.recipe import Recipe
from tomogram.text.microworld.world import World

TINY = Recipe(
    "tiny",
    seed=7,
    layers=2,
    width=96,
    short=16_384,
    long=4_096,
    copying_first=8_192,
    batch_tokens=2_048,
    context=512,
    dtype="float16",
)
"""Three blocks of text: one rich in copying, one in short rows, one in long rows."""
TINY_RENAMED = replace(TINY, name="tiny-renamed", world=World(seed=1, renamed=True))


@pytest.fixture(autouse=True)
def _no_compilation() -> Iterator[None]:
    """Compiling takes longer than these trainings do."""
    with torch.compiler.set_stance("force_eager"):
        yield


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `build` wrote the tiny model to."""
    with torch.compiler.set_stance("force_eager"):
        (folder,) = build([TINY], tmp_path_factory.mktemp("built"))
    return folder
