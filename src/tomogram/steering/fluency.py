"""Fluency: whether what a steered model writes is still text, by the model as it is and by itself.

The loss under the unsteered model says whether each token follows from those before. A text that
repeats itself is easy to predict, so distinct-3 stands beside it: the share of different runs of
three tokens among all runs of three in all continuations (Li et al. 2016, "A Diversity-Promoting
Objective Function for Neural Conversation Models", section 5, there for one and two).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from tomogram.models.model import Model
from tomogram.store.errors import TomogramError
from tomogram.store.estimates import estimate
from tomogram.store.schema import Estimate

BATCH = 16
"""Continuations in one forward pass."""


@dataclass(frozen=True)
class Fluency:
    """loss: nats a token of continuations under the model as it runs; distinct: distinct-3."""

    loss: Estimate
    distinct: float


def fluency(
    model: Model, prompts: Sequence[Sequence[int]], written: Sequence[Sequence[int]]
) -> Fluency:
    """The fluency of continuations; call it where the model is not steered.

    Raises:
        TomogramError: no continuation has a token, or one is longer than the model reads.
    """
    return Fluency(estimate(losses(model, prompts, written)), distinct(written))


@torch.no_grad()
def losses(
    model: Model, prompts: Sequence[Sequence[int]], written: Sequence[Sequence[int]]
) -> Float[np.ndarray, " texts"]:
    """The mean loss in nats of each continuation's tokens, those without any left out."""
    pairs = [(list(p), list(w)) for p, w in zip(prompts, written, strict=True) if len(w)]
    if not pairs:
        raise TomogramError("No continuation has a token.")
    found = []
    for start in range(0, len(pairs), BATCH):
        part = pairs[start : start + BATCH]
        length = max(len(p) + len(w) for p, w in part)
        # Padded on the right: what comes after a text cannot change what is predicted in it.
        rows = [p + w + [0] * (length - len(p) - len(w)) for p, w in part]
        tokens = torch.tensor(rows, device=model.device)
        logits = model.run(tokens).logits
        assert logits is not None
        said = logits.float().log_softmax(-1)[:, :-1].gather(2, tokens[:, 1:, None])[..., 0]
        for row, (prompt, continuation) in zip(said, part, strict=True):
            begin = len(prompt) - 1
            found.append(-float(row[begin : begin + len(continuation)].double().mean()))
    return np.array(found)


def distinct(texts: Sequence[Sequence[int]], n: int = 3) -> float:
    """Different runs of `n` tokens over all runs of `n` in some texts; 1 where there is no run."""
    runs = [tuple(text[i : i + n]) for text in texts for i in range(len(text) - n + 1)]
    return len(set(runs)) / len(runs) if runs else 1.0
