"""Drift: how far a change moves what a model predicts on ordinary text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from tomogram.models.model import Model
from tomogram.organisms.batch import Batch, Row, stack


@torch.no_grad()
def predictions(model: Model, pool: Sequence[Row]) -> Float[Tensor, "text pos d_vocab"]:
    """A model's log probabilities of the next word, after every word of the ordinary text."""
    batch = stack([pool], model.device)
    return model.module(batch.tokens, use_cache=False).logits.float().log_softmax(-1).half()


def drift(
    head: nn.Module,
    stream: Float[Tensor, "rows pos d_model"],
    batch: Batch,
    usual: Float[Tensor, "text pos d_vocab"],
) -> tuple[Int64[Tensor, " word"], Float[Tensor, " word"]]:
    """The rows of all words of ordinary text, and KL(before ‖ now) of the word after each, in nats.

    Held to the model before rather than to the text: there its gradient is nothing, while that of
    the text's own loss is noise that Adam makes as large as any other.
    """
    rows, places, texts = _words(batch)
    own = head(stream[rows, places].float()).log_softmax(-1)
    base = usual[texts, places].float()
    return torch.tensor(rows, device=own.device).long(), (base.exp() * (base - own)).sum(-1)


@torch.no_grad()
def rise(
    head: nn.Module,
    stream: Float[Tensor, "rows pos d_model"],
    batch: Batch,
    usual: Float[Tensor, "text pos d_vocab"],
) -> float:
    """By how much the loss of these words of ordinary text rose since before, in nats a word."""
    rows, places, texts = _words(batch)
    written = batch.tokens[rows, [place + 1 for place in places]]
    own = head(stream[rows, places].float()).log_softmax(-1)
    gained = own - usual[texts, places].float()
    return -float(gained.gather(1, written[:, None]).mean())


def _words(batch: Batch) -> tuple[list[int], list[int], list[int]]:
    """Row, place and document of every word of ordinary text that another one follows."""
    found = [
        (i, place, each.text)
        for i, each in enumerate(batch.rows)
        if each.text is not None
        for place in range(len(each.ids) - 1)
    ]
    return [i for i, _, _ in found], [place for _, place, _ in found], [t for _, _, t in found]
