"""Tiny random models of every family, with biases and gains large enough for faults to show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf

VOCAB, WIDTH, LAYERS, CONTEXT = 97, 24, 3, 64

LLAMA_LIKE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": WIDTH,
    "intermediate_size": 40,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_GEMMA = LLAMA_LIKE | {
    "head_dim": 8,
    "query_pre_attn_scalar": 8,
    "sliding_window": 6,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    "pad_token_id": 0,
}
_GPT_NEO = {
    "vocab_size": VOCAB,
    "hidden_size": WIDTH,
    "num_layers": LAYERS,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "num_heads": 4,
    "attention_types": [[["global", "local", "global"], 1]],
    "window_size": 5,
    "max_position_embeddings": CONTEXT,
}
_GPT2 = {
    "vocab_size": VOCAB,
    "n_embd": WIDTH,
    "n_layer": LAYERS,
    "n_head": 4,
    "n_positions": CONTEXT,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_NEOX = {key: LLAMA_LIKE[key] for key in LLAMA_LIKE if key != "num_key_value_heads"}
_OPT = {
    "vocab_size": VOCAB,
    "hidden_size": WIDTH,
    "ffn_dim": 40,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
    "word_embed_proj_dim": WIDTH,
}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}

CONFIGS: dict[str, Callable[[], hf.PreTrainedConfig]] = {
    "gpt2": lambda: hf.GPT2Config(**_GPT2),
    "gpt2-layer-scaled": lambda: hf.GPT2Config(**_GPT2, scale_attn_by_inverse_layer_idx=True),
    "gpt-neox-parallel": lambda: hf.GPTNeoXConfig(**_NEOX, use_parallel_residual=True),
    "gpt-neox-sequential": lambda: hf.GPTNeoXConfig(**_NEOX, use_parallel_residual=False),
    "gpt-neo": lambda: hf.GPTNeoConfig(**_GPT_NEO),
    "opt": lambda: hf.OPTConfig(**_OPT),
    "opt-narrow-embedding": lambda: hf.OPTConfig(**_OPT | {"word_embed_proj_dim": 16}),
    "llama": lambda: hf.LlamaConfig(**LLAMA_LIKE, attention_bias=True, mlp_bias=True),
    "llama-tied": lambda: hf.LlamaConfig(**LLAMA_LIKE, tie_word_embeddings=True),
    "mistral": lambda: hf.MistralConfig(**LLAMA_LIKE, sliding_window=5),
    "qwen2": lambda: hf.Qwen2Config(**LLAMA_LIKE),
    "qwen3": lambda: hf.Qwen3Config(**LLAMA_LIKE, head_dim=10),
    "gemma2": lambda: hf.Gemma2Config(
        **_GEMMA, attn_logit_softcapping=3.0, final_logit_softcapping=5.0
    ),
    "gemma3": lambda: hf.Gemma3TextConfig(**_GEMMA),
    "phi3": lambda: hf.Phi3Config(**LLAMA_LIKE),
    "olmo2": lambda: hf.Olmo2Config(**LLAMA_LIKE),
    "mixtral": lambda: hf.MixtralConfig(**LLAMA_LIKE, num_local_experts=4, num_experts_per_tok=2),
    "olmoe": lambda: hf.OlmoeConfig(**LLAMA_LIKE, num_experts=4, num_experts_per_tok=2),
    # One block of three keeps an ordinary MLP.
    "qwen3-moe-mixed": lambda: hf.Qwen3MoeConfig(**LLAMA_LIKE, **_EXPERTS, mlp_only_layers=[1]),
    "qwen2-moe": lambda: hf.Qwen2MoeConfig(
        **LLAMA_LIKE, **_EXPERTS, shared_expert_intermediate_size=24, decoder_sparse_step=1
    ),
}


def build(config: hf.PreTrainedConfig, seed: int = 0) -> hf.PreTrainedModel:
    """Build a model of a configuration with random weights, biases and gains."""
    module = hf.AutoModelForCausalLM.from_config(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            spread = 0.5 if parameter.ndim == 1 else parameter.shape[-1] ** -0.5
            noise = torch.randn(parameter.shape, generator=generator) * spread
            # A vector that starts at 1 is a gain; keep it around 1.
            starts_at_one = parameter.ndim == 1 and bool((parameter == 1).all())
            parameter.copy_(noise + 1 if starts_at_one else noise)
    return module.eval()
