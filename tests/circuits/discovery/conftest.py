"""Fixtures of the discovery tests: tiny models of every family, and pairs of random prompts."""

from __future__ import annotations

import pytest
import torch

from tests.models.conftest import llama, model, tiny
from tests.models.families import VOCAB
from tomogram.circuits.discovery.pairs import Pair

__all__ = ["llama", "model", "tiny"]  # fixtures that these tests share with those of models


@pytest.fixture(scope="session")
def pairs() -> tuple[Pair, ...]:
    """Three pairs of random prompts, longer than the sliding windows of the tiny models."""
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(VOCAB, (2, 3, 8), generator=generator).tolist()
    return tuple(
        Pair(tuple(clean), tuple(other), 3, 5) for clean, other in zip(*prompts, strict=True)
    )
