"""A tiny random model with a real tokenizer and a chat template."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tomogram.models.load import wrap
from tomogram.models.model import Model

TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)


@pytest.fixture(scope="session")
def stories(root: Path) -> Path:
    folder = root.parent / "shared" / "models" / "stories15M"
    if not folder.is_dir():
        pytest.skip("stories15M is not beside the repository")
    return folder


@pytest.fixture(scope="session")
def random_model(stories: Path) -> Model:
    tokenizer = AutoTokenizer.from_pretrained(stories)
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        vocab_size=len(tokenizer), max_position_embeddings=256,
    )  # fmt: skip
    return wrap(LlamaForCausalLM(config), tokenizer, name="chatty")
