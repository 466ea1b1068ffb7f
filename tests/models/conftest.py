"""Fixtures of the models tests: a tiny model of each family, built once."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from tests.models.families import CONFIGS, VOCAB, build
from tomogram.models.load import wrap
from tomogram.models.model import Model


@cache
def tiny(family: str) -> Model:
    return wrap(build(CONFIGS[family]()), name=family)


@pytest.fixture(scope="session", params=CONFIGS)
def model(request: pytest.FixtureRequest) -> Model:
    """A tiny random model, once for each family."""
    return tiny(request.param)


@pytest.fixture(scope="session")
def llama() -> Model:
    """A tiny random Llama."""
    return tiny("llama")


@pytest.fixture(scope="session")
def tokens() -> Tensor:
    """Three rows of random tokens, longer than the sliding windows of the tiny models."""
    return torch.randint(VOCAB, (3, 20), generator=torch.Generator().manual_seed(1))
