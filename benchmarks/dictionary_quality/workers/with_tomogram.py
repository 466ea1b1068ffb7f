"""Tomogram's own training, by the settings of `tomogram train`."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from protocol import Coder, Data, Order, Trained, serve

from tomogram.dictionaries import trainer
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.schedule import Schedule
from tomogram.dictionaries.shape import autoencoder
from tomogram.models.sites import Site
from tomogram.pipeline.training import Order as Wish
from tomogram.pipeline.training import of_kind
from tomogram.store.allocator import keep_freed_memory

SITE = Site("resid_post", 3)


class Source:
    """The tokens in batches, as the trainer asks for them."""

    def __init__(self, data: Data, batch: int) -> None:
        self._data, self._batch = data, batch

    def batches(self, start: int = 0) -> Iterator[dict[Site, torch.Tensor]]:
        for number, x in enumerate(self._data.batches(self._batch)):
            if number >= start:
                yield {SITE: x}


def train(order: Order, data: Data) -> Trained:
    keep_freed_memory()
    wish = Wish(kind=order.kind, k=order.l0)
    rate, batch = order.rate, order.batch
    if order.documented:
        rate, batch = wish.peak(order.latents), wish.batch_tokens
    if order.penalty is not None:
        wish = Wish(kind=order.kind, k=order.l0, sparsity=order.penalty)
    shape = autoencoder(SITE, data.x.shape[1])
    (dictionary,) = trainer.train(
        of_kind(shape, order.latents, order.kind, wish),
        Source(data, batch),
        order.tokens // batch,
        trainer.Settings(schedule=Schedule(peak=rate), seed=order.seed),
    )
    return coder(dictionary)


def coder(dictionary: Dictionary) -> Coder:
    threshold = getattr(dictionary, "threshold", None)
    kept = None if threshold is None else threshold.clone()

    def encode(x: torch.Tensor, factor: float) -> torch.Tensor:
        if threshold is not None and kept is not None:
            threshold.copy_(kept * factor)
        return dictionary.encode(x).dense()

    def decode(latents: torch.Tensor) -> torch.Tensor:
        return latents @ dictionary.W_dec + dictionary.b_dec

    return Coder(encode, decode, thresholds=threshold is not None)


if __name__ == "__main__":
    serve(train)
