"""Logit lens: the prediction read off the residual stream at every depth (nostalgebraist 2020)."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError
from tomogram.store.estimates import estimate
from tomogram.store.schema import LensPoint
from tomogram.text.packing import PackedText

POSITIONS = 16
"""Most tokens of a row that are looked at."""
_LOGIT_NUMBERS = 2**24


def logit_lens(
    model: Model, text: PackedText, *, rows: int = 24, seed: int = 0
) -> tuple[LensPoint, ...]:
    """Compare the prediction at every depth with the model's final one.

    The final norm and the unembedding are applied to the residual stream before the first block
    and after each. Per depth, as means over tokens: the KL divergence in nats from the final
    prediction p to the early one q, Σ p (log p − log q); the share of tokens where both have the
    same top token; the probability of the true next token; the entropy of q in nats. Intervals
    are over rows. Tokens that end a document are left out: what follows them is not the model's
    to know. Of a long row, 16 tokens evenly spaced stand for all, because the unembedding of every
    depth is most of the work.

    Args:
        rows: how many rows of the text are read, evenly spaced over it.

    Raises:
        TomogramError: the text's rows have no token with a next one, or do not fit the model.
    """
    sites = [Site("resid_pre", 0), *(Site("resid_post", n) for n in range(model.n_layers))]
    chosen = np.unique(np.linspace(0, text.rows - 1, min(rows, text.rows)).astype(int))
    measured = []
    with torch.no_grad():
        for row in chosen:
            tokens = torch.from_numpy(text.tokens[row].astype(np.int64)).to(model.device)
            documents = torch.from_numpy(text.documents[row].copy()).to(model.device)
            counted = torch.nonzero(documents[1:] == documents[:-1])[:, 0]
            if len(counted):
                spaced = torch.linspace(0, len(counted) - 1, min(len(counted), POSITIONS))
                counted = counted[spaced.round().long().to(counted.device)]
                run = model.run(tokens[None], capture=sites, logits=False)
                streams = torch.stack([run[site][0] for site in sites])
                measured.append(_row(model, streams, tokens, counted))
    if not measured:
        raise TomogramError("The text has no document of two tokens, so no prediction to look at.")
    figures = torch.stack(measured).cpu().numpy()
    return tuple(
        LensPoint(
            site=str(site),
            kl=estimate(figures[:, 0, depth], seed=seed),
            agreement=estimate(figures[:, 1, depth], seed=seed),
            true_probability=estimate(figures[:, 2, depth], seed=seed),
            entropy=estimate(figures[:, 3, depth], seed=seed),
        )
        for depth, site in enumerate(sites)
    )


def _row(
    model: Model,
    streams: Float[Tensor, "depth pos d_model"],
    tokens: Int[Tensor, " pos"],
    counted: Int[Tensor, " counted"],
) -> Float[Tensor, "4 depth"]:
    """KL, agreement, true probability and entropy of one row: means over its counted tokens."""
    streams, following = streams[:, :-1][:, counted], tokens[1:][counted]
    totals = torch.zeros(4, len(streams), dtype=torch.float64, device=streams.device)
    # A whole row of logits of a large vocabulary does not fit in memory.
    size = max(1, _LOGIT_NUMBERS // model.d_vocab)
    for start in range(0, len(following), size):
        part, true = streams[:, start : start + size], following[start : start + size]
        final = _log_probabilities(model, part[-1])
        final_top, final_p = final.argmax(-1), final.exp()
        for depth, stream in enumerate(part):
            early = _log_probabilities(model, stream) if depth < len(part) - 1 else final
            totals[0, depth] += (final_p * (final - early)).sum()
            totals[1, depth] += (early.argmax(-1) == final_top).sum()
            totals[2, depth] += early.gather(1, true[:, None]).exp().sum()
            totals[3, depth] -= (early.exp() * early).sum()
    return totals / len(following)


def _log_probabilities(
    model: Model, resid: Float[Tensor, "pos d_model"]
) -> Float[Tensor, "pos d_vocab"]:
    return model.unembed(resid).float().log_softmax(-1)
