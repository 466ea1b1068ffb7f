"""Runs under circuit-tracer: the attribution graph of one prompt of a Llama with transcoders.

    python graph_with_circuit_tracer.py FOLDER

FOLDER holds config.json (sizes of the model), weights.safetensors (its Hugging Face weights),
tokens.safetensors and the set of transcoders in `ours`. FOLDER/graph.safetensors gets the matrix
of edges, the active features (layer, position, number), the targets, the scores, and the processor
seconds that drawing the graph took, on one thread.
"""

import json
import sys
import time
from pathlib import Path

import huggingface_hub.constants
import torch

# It asks for a constant that newer versions of the library no longer have; nothing is downloaded.
huggingface_hub.constants.HF_HUB_ENABLE_HF_TRANSFER = False

from circuit_tracer.attribution.attribute import attribute  # noqa: E402
from circuit_tracer.graph import compute_graph_scores, prune_graph  # noqa: E402
from circuit_tracer.replacement_model.replacement_model_transformerlens import (  # noqa: E402
    TransformerLensReplacementModel,
)
from circuit_tracer.transcoder.single_layer_transcoder import (  # noqa: E402
    TranscoderSet,
    load_relu_transcoder,
)
from safetensors.torch import load_file, save_file  # noqa: E402
from transformer_lens import HookedTransformerConfig  # noqa: E402

torch.set_num_threads(1)
folder = Path(sys.argv[1])
sizes = json.loads((folder / "config.json").read_text())
weights = load_file(folder / "weights.safetensors")
tokens = load_file(folder / "tokens.safetensors")["tokens"]
cpu = torch.device("cpu")
layers, heads = sizes["num_hidden_layers"], sizes["num_attention_heads"]
kv = sizes["num_key_value_heads"]


class Tokenizer:
    """As much of a tokenizer as is asked for: id 1 opens texts."""

    all_special_ids = (1,)
    bos_token_id = pad_token_id = eos_token_id = 1
    vocab_size = sizes["vocab_size"]
    padding_side = "right"

    def decode(self, ids):
        return str(ids)


def by_head(matrix, n):
    return matrix.view(n, -1, matrix.shape[1]).transpose(1, 2).contiguous()


config = HookedTransformerConfig(
    n_layers=layers,
    d_model=sizes["hidden_size"],
    n_ctx=sizes["max_position_embeddings"],
    d_head=sizes["hidden_size"] // heads,
    n_heads=heads,
    n_key_value_heads=kv,
    d_mlp=sizes["intermediate_size"],
    d_vocab=sizes["vocab_size"],
    act_fn="silu",
    gated_mlp=True,
    normalization_type="RMS",
    final_rms=True,
    eps=sizes["rms_norm_eps"],
    positional_embedding_type="rotary",
    rotary_dim=sizes["hidden_size"] // heads,
    rotary_base=sizes["rope_theta"],
    model_name="tiny",
    device="cpu",
    dtype=torch.float32,
)
transcoders = TranscoderSet(
    {
        layer: load_relu_transcoder(
            str(folder / "ours" / f"layer_{layer}.safetensors"),
            layer,
            cpu,
            lazy_encoder=False,
            lazy_decoder=False,
        )
        for layer in range(layers)
    },
    "mlp.hook_in",
    "mlp.hook_out",
    "tiny",
)
model = TransformerLensReplacementModel.from_config(config, transcoders)
model.tokenizer = Tokenizer()
with torch.no_grad():
    for name, parameter in model.named_parameters():
        if "transcoder" not in name:
            parameter.zero_()
    model.embed.W_E.copy_(weights["model.embed_tokens.weight"])
    model.unembed.old_unembed.W_U.copy_(weights["lm_head.weight"].T)
    model.ln_final.w.copy_(weights["model.norm.weight"])
    for layer, block in enumerate(model.blocks):
        part = {
            name.removeprefix(f"model.layers.{layer}."): value
            for name, value in weights.items()
            if name.startswith(f"model.layers.{layer}.")
        }
        block.ln1.w.copy_(part["input_layernorm.weight"])
        block.ln2.w.copy_(part["post_attention_layernorm.weight"])
        block.attn.W_Q.copy_(by_head(part["self_attn.q_proj.weight"], heads))
        block.attn._W_K.copy_(by_head(part["self_attn.k_proj.weight"], kv))
        block.attn._W_V.copy_(by_head(part["self_attn.v_proj.weight"], kv))
        out = part["self_attn.o_proj.weight"]
        block.attn.W_O.copy_(out.T.reshape(heads, -1, out.shape[0]))
        mlp = block.mlp.old_mlp
        mlp.W_gate.copy_(part["mlp.gate_proj.weight"].T)
        mlp.W_in.copy_(part["mlp.up_proj.weight"].T)
        mlp.W_out.copy_(part["mlp.down_proj.weight"].T)

start = time.process_time()
graph = attribute(tokens, model, batch_size=64, max_n_logits=5, desired_logit_prob=0.5)
seconds = time.process_time() - start
pruned = prune_graph(graph)
save_file(
    {
        "edges": graph.adjacency_matrix.contiguous(),
        "features": graph.active_features[graph.selected_features].contiguous(),
        "targets": torch.tensor([target.vocab_idx for target in graph.logit_targets]),
        "scores": torch.tensor(compute_graph_scores(graph)),
        "seconds": torch.tensor(seconds),
        "kept": pruned.node_mask.contiguous(),
        "kept_edges": pruned.edge_mask.contiguous(),
    },
    folder / "graph.safetensors",
)
