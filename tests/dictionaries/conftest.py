"""A tiny model, a text for it and dictionaries that fit it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tomogram.models.load import wrap
from tomogram.models.model import Model
from tomogram.text.packing import PackedText, pack_tokens

WIDTH, LAYERS, VOCAB = 16, 3, 50


@pytest.fixture(scope="session")
def model() -> Model:
    """A random Llama."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=WIDTH,
        intermediate_size=24,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=32,
        initializer_range=0.2,
    )
    return wrap(LlamaForCausalLM(config), name="tiny")


@pytest.fixture(scope="session")
def text() -> PackedText:
    """Rows of 12 tokens from documents of 7 to 9, so that most rows hold a boundary."""
    generator = np.random.default_rng(0)
    documents = (generator.integers(0, VOCAB, 7 + i % 3, dtype=np.int32) for i in range(60))
    return pack_tokens(documents, 12)
