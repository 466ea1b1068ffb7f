from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MixtralConfig,
    OPTConfig,
    Qwen3Config,
)

from tomogram.models.anatomy import parameters
from tomogram.models.load import load, wrap

SMALL = {
    "vocab_size": 31,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "max_position_embeddings": 12,
}
CONFIGS = {
    "llama": LlamaConfig(**SMALL),
    "llama tied": LlamaConfig(**SMALL, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SMALL, head_dim=8, num_key_value_heads=1),
    "gemma2": Gemma2Config(**SMALL, head_dim=8, num_key_value_heads=2),
    "mixtral": MixtralConfig(**SMALL, num_key_value_heads=2, num_local_experts=2),
    "gpt2": GPT2Config(vocab_size=31, n_positions=12, n_embd=16, n_layer=3, n_head=2),
    "neox": GPTNeoXConfig(**SMALL),
    "opt": OPTConfig(
        vocab_size=31,
        hidden_size=16,
        word_embed_proj_dim=8,
        ffn_dim=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=12,
    ),
}


@pytest.mark.parametrize("family", CONFIGS)
def test_components_add_up_to_the_module(family: str) -> None:
    torch.manual_seed(0)
    module = AutoModelForCausalLM.from_config(CONFIGS[family])
    counted = parameters(wrap(module, name=family))
    assert counted.total == sum(p.numel() for p in module.parameters())
    assert len(counted.layers) == 3
    assert all(layer.attention and layer.mlp and layer.norms for layer in counted.layers)
    assert (counted.positions > 0) == (family in {"gpt2", "opt"})
    assert (counted.other > 0) == (family == "opt")


def test_counts_of_a_llama_by_hand() -> None:
    counted = parameters(wrap(AutoModelForCausalLM.from_config(LlamaConfig(**SMALL)), name="llama"))
    assert counted.embedding == counted.unembedding == 31 * 16
    assert counted.final_norm == 16
    layer = counted.layers[1]
    assert (layer.attention, layer.mlp, layer.norms) == (4 * 16 * 16, 3 * 16 * 24, 2 * 16)


def test_a_tied_unembedding_counts_once(stories15M: Path) -> None:
    counted = parameters(load(stories15M))
    assert counted.unembedding == 0
    assert counted.total == 15_191_712
