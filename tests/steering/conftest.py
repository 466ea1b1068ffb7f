"""A tiny random model, a text for it and dictionaries that read it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.families import CONFIGS, VOCAB, WIDTH, build
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.shape import autoencoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.load import wrap
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.text.packing import PackedText, pack_tokens

LATENTS = 40


@pytest.fixture(scope="session")
def model() -> Model:
    """A random Llama of three layers."""
    return wrap(build(CONFIGS["llama"]()), name="tiny")


@pytest.fixture(scope="session")
def tokens() -> torch.Tensor:
    """Two rows of seven tokens."""
    return torch.randint(VOCAB, (2, 7), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def text() -> PackedText:
    """Rows of 16 tokens."""
    rng = np.random.default_rng(0)
    documents = (rng.integers(0, VOCAB, 9, dtype=np.int32) for _ in range(40))
    return pack_tokens(documents, 16, 20 * 16)


def dictionary(shape_of: str = "autoencoder") -> Dictionary:
    """A dictionary with random weights at layer 1."""
    torch.manual_seed(3)
    shape = (
        autoencoder(Site("resid_post", 1), WIDTH)
        if shape_of == "autoencoder"
        else transcoder(1, WIDTH)
    )
    made = TopK(shape, LATENTS, k=5).requires_grad_(False)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made
