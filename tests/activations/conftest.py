"""A tiny model and a text for it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tomogram.models.load import wrap
from tomogram.models.model import Model
from tomogram.text.packing import PackedText, pack_tokens


def tiny_model(seed: int = 0) -> Model:
    """A random Llama of 3 layers and width 16; the same on every call with a seed."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=32,
        bos_token_id=1,
        eos_token_id=2,
    )
    return wrap(LlamaForCausalLM(config), name="tiny")


def tiny_text(rows: int, context: int = 8) -> PackedText:
    """Random tokens in documents of random lengths."""
    rng = np.random.default_rng(0)
    total, documents = 0, []
    while total < rows * context:
        documents.append(rng.integers(0, 50, rng.integers(1, 20), dtype=np.int32))
        total += len(documents[-1])
    return pack_tokens(documents, context, rows * context)


@pytest.fixture(scope="session")
def model() -> Model:
    return tiny_model()


@pytest.fixture(scope="session")
def text() -> PackedText:
    return tiny_text(rows=23)
