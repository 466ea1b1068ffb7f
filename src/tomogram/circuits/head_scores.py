"""Head scores: which attention heads look at the previous token, a copy, or what followed it.

Measured, as by Olsson et al. 2022 ("In-context Learning and Induction Heads"), on a block of
random tokens that is repeated once, so that only attention can tell what comes next.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError
from tomogram.store.estimates import estimate
from tomogram.store.schema import Head
from tomogram.text.packing import opening_token

BLOCK = 64
"""Most tokens in the repeated block; a model with a short context gets a shorter one."""
_PATTERN_NUMBERS = 2**26


def head_scores(model: Model, *, sequences: int = 32, seed: int = 0) -> tuple[Head, ...]:
    """Score every attention head on repeated random tokens, layer by layer.

    With a block of n tokens standing twice, each score is a mean attention weight, between 0 and 1:

    * previous: from each token to the one before it;
    * duplicate: from each token of the second copy to the same token of the first;
    * induction: from each token of the second copy to the token after the same token of the first
      (Olsson et al. call this prefix matching).

    Intervals are over `sequences` independent blocks.

    Raises:
        TomogramError: the context or the vocabulary is too small for a repeated block.
    """
    tokens, block = repeated_tokens(model, sequences, seed)
    sites = [Site("pattern", layer) for layer in range(model.n_layers)]
    length = tokens.shape[1]
    batch = max(1, _PATTERN_NUMBERS // (model.n_layers * model.n_heads * length**2))
    parts = []
    with torch.no_grad():
        for rows in tokens.split(batch):
            run = model.run(rows, capture=sites, logits=False)
            parts.append(torch.stack([_scores(run[site], block) for site in sites], dim=2))
    scores = torch.cat(parts, dim=1).double().cpu().numpy()
    return tuple(
        Head(
            layer=layer,
            head=head,
            previous=estimate(scores[0, :, layer, head], seed=seed),
            duplicate=estimate(scores[1, :, layer, head], seed=seed),
            induction=estimate(scores[2, :, layer, head], seed=seed),
        )
        for layer in range(model.n_layers)
        for head in range(model.n_heads)
    )


def repeated_tokens(
    model: Model, sequences: int, seed: int
) -> tuple[Int[Tensor, "sequences length"], int]:
    """Random blocks standing twice, after the opening token, and the length of a block.

    No token stands twice within a block, and special tokens do not stand in it.

    Raises:
        TomogramError: the context or the vocabulary is too small.
    """
    ordinary = _ordinary_tokens(model)
    opening = None if model.tokenizer is None else opening_token(model.tokenizer)
    prefix = [] if opening is None else [opening]
    block = min(BLOCK, (model.context - len(prefix)) // 2, len(ordinary))
    if block < 2:
        raise TomogramError(
            f"{model.name} cannot read a repeated block: its context is {model.context} tokens"
            f" and its vocabulary has {len(ordinary)} ordinary tokens."
        )
    generator = np.random.default_rng(seed)
    blocks = np.stack([generator.choice(ordinary, block, replace=False) for _ in range(sequences)])
    start = np.tile(np.array(prefix, np.int64), (sequences, 1))
    return torch.from_numpy(np.concatenate([start, blocks, blocks], axis=1)), block


def _ordinary_tokens(model: Model) -> Int[np.ndarray, " ordinary"]:
    """Ids the tokenizer can produce from plain text; all ids where there is no tokenizer."""
    if model.tokenizer is None:
        return np.arange(model.d_vocab)
    special = {*model.tokenizer.all_special_ids, *model.tokenizer.get_added_vocab().values()}
    # The unembedding may be padded beyond the tokenizer's vocabulary.
    return np.setdiff1d(np.arange(min(model.d_vocab, len(model.tokenizer))), sorted(special))


def _scores(
    pattern: Float[Tensor, "batch head query key"], block: int
) -> Float[Tensor, "3 batch head"]:
    """Previous, duplicate and induction score of each row; the last 2 · block tokens repeat."""

    def back(distance: int) -> Float[Tensor, "batch head query"]:
        return torch.diagonal(pattern, offset=-distance, dim1=-2, dim2=-1)

    # The last `block` queries are the second copy.
    kinds = (back(1), back(block)[..., -block:], back(block - 1)[..., -block:])
    return torch.stack([kind.float().mean(-1) for kind in kinds])
