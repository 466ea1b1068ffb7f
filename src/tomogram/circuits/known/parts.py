"""Parts: the matrices of a transformer without norms, and a GPT-2 that computes the same.

Compiled and hand-made transformers have no norms, and GPT-2 has. The stream of the GPT-2 is
[x, −x, C, −C]: its mean is zero, and with C far larger than x the norm's denominator is a constant,
which its gain undoes. What is left of the norm is of the order of |x|² / 2C².
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from transformers import GPT2Config, GPT2LMHeadModel

from tomogram.models.load import wrap
from tomogram.models.model import Model

CONSTANT = 300.0
PLAIN: dict[str, Any] = {
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
"""Settings of every known GPT-2: nothing random, embeddings of its own."""
Matrix = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True, eq=False)
class Layer:
    """One block: heads by their own matrices, then an MLP of rectified neurons.

    Shapes: `query`, `key`, `value` [head d d_head], their biases [head d_head], `output`
    [head d_head d], `into` [d hidden], `into_bias` [hidden], `out` [hidden d], `out_bias` [d].
    Scores are divided by the square root of d_head. Rows are applied as x @ matrix.
    """

    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    output: np.ndarray
    query_bias: np.ndarray
    key_bias: np.ndarray
    value_bias: np.ndarray
    into: np.ndarray
    into_bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray

    def __post_init__(self) -> None:
        heads, d, d_head = self.query.shape
        hidden = self.into.shape[1]
        expected = {
            "key": (heads, d, d_head),
            "value": (heads, d, d_head),
            "output": (heads, d_head, d),
            "query_bias": (heads, d_head),
            "key_bias": (heads, d_head),
            "value_bias": (heads, d_head),
            "into": (d, hidden),
            "into_bias": (hidden,),
            "out": (hidden, d),
            "out_bias": (d,),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not {shape}")


@dataclass(frozen=True, eq=False)
class Parts:
    """A decoder without norms.

    Args:
        embed: [vocabulary d]; positions: [context d]; unembed: [d vocabulary].
    """

    embed: Matrix
    positions: Matrix
    layers: tuple[Layer, ...]
    unembed: Matrix

    @property
    def width(self) -> int:
        """Width d of the stream."""
        return int(self.embed.shape[1])


def as_gpt2(parts: Parts, *, name: str, constant: float = CONSTANT) -> Model:
    """A GPT-2 that computes what the parts say, up to |x|² / 2C²."""
    heads, _, d_head = parts.layers[0].query.shape
    hidden = max(layer.into.shape[1] for layer in parts.layers)
    d = parts.width
    own = max(d_head, -(-(2 * d + 2) // heads))
    own += (own * heads) % 2  # an even width keeps the mean at zero
    width = own * heads
    config = GPT2Config(
        vocab_size=parts.embed.shape[0],
        n_positions=parts.positions.shape[0],
        n_embd=width,
        n_layer=len(parts.layers),
        n_head=heads,
        n_inner=hidden,
        activation_function="relu",
        layer_norm_epsilon=1e-5,
        **PLAIN,
    )
    module = GPT2LMHeadModel(config)

    def write(matrix: np.ndarray) -> np.ndarray:
        padded = np.zeros((*matrix.shape[:-1], width))
        padded[..., :d], padded[..., d : 2 * d] = matrix, -matrix
        return padded

    def read(matrix: np.ndarray) -> np.ndarray:
        return np.concatenate([matrix / 2, -matrix / 2, np.zeros((width - 2 * d, matrix.shape[1]))])

    embed = write(parts.embed)
    embed[:, 2 * d], embed[:, 2 * d + 1] = constant, -constant
    state = {
        "transformer.wte.weight": embed,
        "transformer.wpe.weight": write(parts.positions),
        "lm_head.weight": read(parts.unembed).T,
    }
    gain = np.full(width, constant * np.sqrt(2 / width))
    for norm in ("ln_f", *(f"h.{i}.ln_{n}" for i in range(len(parts.layers)) for n in (1, 2))):
        state[f"transformer.{norm}.weight"] = gain
        state[f"transformer.{norm}.bias"] = np.zeros(width)
    for number, layer in enumerate(parts.layers):
        prefix = f"transformer.h.{number}"
        attention = np.zeros((3, width, heads, own))
        bias = np.zeros((3, heads, own))
        # GPT-2 divides by the root of its own, wider heads.
        scale = (np.sqrt(own / d_head), 1.0, 1.0)
        for place, (matrix, shift) in enumerate(
            (
                (layer.query, layer.query_bias),
                (layer.key, layer.key_bias),
                (layer.value, layer.value_bias),
            )
        ):
            for head in range(heads):
                attention[place, :, head, :d_head] = read(matrix[head]) * scale[place]
            bias[place, :, :d_head] = shift * scale[place]
        output = np.zeros((heads, own, width))
        output[:, :d_head] = write(layer.output)
        into = np.zeros((width, hidden))
        into[:, : layer.into.shape[1]] = read(layer.into)
        into_bias = np.zeros(hidden)
        into_bias[: layer.into.shape[1]] = layer.into_bias
        out = np.zeros((hidden, width))
        out[: layer.into.shape[1]] = write(layer.out)
        state |= {
            f"{prefix}.attn.c_attn.weight": attention.transpose(1, 0, 2, 3).reshape(width, -1),
            f"{prefix}.attn.c_attn.bias": bias.reshape(-1),
            f"{prefix}.attn.c_proj.weight": output.reshape(width, width),
            f"{prefix}.attn.c_proj.bias": np.zeros(width),
            f"{prefix}.mlp.c_fc.weight": into,
            f"{prefix}.mlp.c_fc.bias": into_bias,
            f"{prefix}.mlp.c_proj.weight": out,
            f"{prefix}.mlp.c_proj.bias": write(layer.out_bias),
        }
    tensors = {key: torch.tensor(value, dtype=torch.float32) for key, value in state.items()}
    module.load_state_dict(tensors, strict=True)
    return wrap(module, name=name)
