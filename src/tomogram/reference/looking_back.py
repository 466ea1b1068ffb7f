"""Start a model with a pair of heads that looks back, so that training need not stumble on it.

From random weights, the pair of heads that continues a repeated sequence (Olsson et al. 2022) forms
only after tens of millions of tokens, and much else waits for it. The pair is therefore sketched
into the first weights: head 0 of layer 0 attends to the previous token and notes it down; head 0
of layer 1 looks for a note of the current token and copies what stands there. Training is free to
change all of it. It also gives the model one mechanism whose place is known beforehand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

_SHARPNESS = 4.0
"""Length of each rotary pair of the positional query; 4 puts three quarters of the weight on the
previous token."""
_SLOW = 6
"""Rotary pairs from here on turn so slowly that a match is seen at any distance in a document."""
_MATCH = 2.2
"""Scale of the query and the key that are compared."""
_NOTE = 2.0
"""Scale of what the heads write, for embeddings of standard deviation 1."""


@torch.no_grad()
def plant(model: LlamaForCausalLM, generator: torch.Generator) -> None:
    """Sketch the pair of heads into the weights of layers 0 and 1, in place.

    The model's attention has biases: a bias is what a head can aim by position alone with.
    """
    first, second = (model.model.layers[layer].self_attn for layer in (0, 1))
    width, size = model.config.hidden_size, first.head_dim
    # How far each rotary pair turns from one position to the next.
    angle = model.model.rotary_emb.inv_freq
    pairs = len(angle)
    slow = torch.cat([torch.arange(_SLOW, pairs), torch.arange(_SLOW, pairs) + pairs])
    read, copied, note = _orthonormal(3 * size, width, generator).split(size)
    head = slice(0, size)

    # Layer 0: the query turned by one position is the key, whatever the tokens are.
    first.q_proj.weight[head] = first.k_proj.weight[head] = 0
    first.q_proj.bias[head] = _SHARPNESS * torch.cat([torch.ones(pairs), torch.zeros(pairs)])
    first.k_proj.bias[head] = _SHARPNESS * torch.cat([angle.cos(), angle.sin()])
    first.v_proj.weight[head] = read
    first.o_proj.weight[:, head] = _NOTE * note.T

    # Layer 1: the current token, read alike, is compared with the notes.
    second.q_proj.weight[head] = second.k_proj.weight[head] = 0
    second.q_proj.weight[slow] = _MATCH * read[slow]
    second.k_proj.weight[slow] = _MATCH * note[slow]
    second.q_proj.bias[head] = second.k_proj.bias[head] = 0
    second.v_proj.weight[head] = copied
    second.o_proj.weight[:, head] = 2 * _NOTE * copied.T


def _orthonormal(n: int, width: int, generator: torch.Generator) -> Float[Tensor, "n width"]:
    """n random rows of length 1, at right angles to each other."""
    square = torch.linalg.qr(torch.randn(width, n, generator=generator)).Q
    rows: Tensor = square.T.contiguous()
    return rows
