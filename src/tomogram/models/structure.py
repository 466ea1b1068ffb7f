"""The structure table: where each kind of decoder keeps its parts.

A structure is a set of dotted attribute paths, one row a wiring and not one row a family: every
family built like Llama (Mistral, Qwen, Phi-3, ...) is the row `llama`. A module fits a row when all
paths resolve and no part of a block is left over; whether the row is *true* of the module is then
measured by `verify`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Structure:
    """Paths of the parts of a decoder; None where the structure has no such part.

    The first group starts at the causal language model, the second at one block.
    """

    name: str

    embed: str
    blocks: str
    final_norm: str
    pos_embed: str | None = None
    # Projections between an embedding narrower than the residual stream and the stream (OPT).
    project_in: str | None = None
    project_out: str | None = None
    unembed: str = "lm_head"

    attention: str = "self_attn"
    heads_to_stream: str = "self_attn.o_proj"
    attention_norm: str | None = None
    attention_post_norm: str | None = None
    mlp_first: str = "mlp"
    mlp_last: str = "mlp"
    mlp_norm: str | None = None
    mlp_post_norm: str | None = None
    neurons_to_stream: str = "mlp.down_proj"
    # A block that has this instead of the hidden layer above is a mixture of experts.
    experts: str = "mlp.experts"

    # Name of the block's attribute that is true when attention and MLP read the same stream.
    parallel_if: str | None = None
    # Name of the block's attribute that is false when norms sit on the residual stream itself.
    pre_norm_if: str | None = None
    # Method computing attention, in families that do not use transformers' attention interface.
    attention_method: str | None = None
    # Whether a block gives the stream with its attention weights beside it.
    block_gives_tuple: bool = False


_LLAMA = Structure(
    name="llama",
    embed="model.embed_tokens",
    blocks="model.layers",
    final_norm="model.norm",
    attention_norm="input_layernorm",
    mlp_norm="post_attention_layernorm",
)
_GPT2 = Structure(
    name="gpt2",
    embed="transformer.wte",
    pos_embed="transformer.wpe",
    blocks="transformer.h",
    final_norm="transformer.ln_f",
    attention="attn",
    heads_to_stream="attn.c_proj",
    attention_norm="ln_1",
    mlp_norm="ln_2",
    neurons_to_stream="mlp.c_proj",
)

STRUCTURES = (
    _LLAMA,
    replace(
        _LLAMA,
        name="gemma",
        attention_post_norm="post_attention_layernorm",
        mlp_norm="pre_feedforward_layernorm",
        mlp_post_norm="post_feedforward_layernorm",
    ),
    replace(
        _LLAMA,
        name="olmo2",
        attention_norm=None,
        attention_post_norm="post_attention_layernorm",
        mlp_norm=None,
        mlp_post_norm="post_feedforward_layernorm",
    ),
    _GPT2,
    replace(
        _GPT2,
        name="gpt_neo",
        attention="attn.attention",
        heads_to_stream="attn.attention.out_proj",
        attention_method="_attn",
        block_gives_tuple=True,
    ),
    Structure(
        name="gpt_neox",
        embed="gpt_neox.embed_in",
        blocks="gpt_neox.layers",
        final_norm="gpt_neox.final_layer_norm",
        attention="attention",
        heads_to_stream="attention.dense",
        attention_norm="input_layernorm",
        mlp_norm="post_attention_layernorm",
        neurons_to_stream="mlp.dense_4h_to_h",
        parallel_if="use_parallel_residual",
    ),
    Structure(
        name="opt",
        embed="model.decoder.embed_tokens",
        pos_embed="model.decoder.embed_positions",
        project_in="model.decoder.project_in",
        project_out="model.decoder.project_out",
        blocks="model.decoder.layers",
        final_norm="model.decoder.final_layer_norm",
        heads_to_stream="self_attn.out_proj",
        attention_norm="self_attn_layer_norm",
        mlp_first="fc1",
        mlp_last="fc2",
        mlp_norm="final_layer_norm",
        neurons_to_stream="fc2",
        pre_norm_if="do_layer_norm_before",
    ),
)
