"""A tiny random model, a text for it and dictionaries that read it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.shape import autoencoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.load import wrap
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.text.packing import PackedText, pack_tokens

WIDTH, VOCAB, LATENTS = 16, 40, 60


@pytest.fixture(scope="session")
def model() -> Model:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=WIDTH,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
        initializer_range=0.3,
    )
    return wrap(LlamaForCausalLM(config), name="tiny")


@pytest.fixture(scope="session")
def text() -> PackedText:
    """24 rows of 32 tokens, documents of 5 to 30."""
    rng = np.random.default_rng(0)
    documents = (rng.integers(0, VOCAB, rng.integers(5, 30), dtype=np.int32) for _ in range(60))
    return pack_tokens(documents, 32, 24 * 32)


@pytest.fixture(scope="session")
def dictionaries() -> list[Dictionary]:
    """An autoencoder and a transcoder with random weights."""
    torch.manual_seed(1)
    made: list[Dictionary] = []
    for shape in (autoencoder(Site("resid_post", 0), WIDTH), transcoder(1, WIDTH)):
        dictionary = TopK(shape, LATENTS, k=4).requires_grad_(False)
        for parameter in dictionary.parameters():
            torch.nn.init.normal_(parameter)
        made.append(dictionary)
    return made
