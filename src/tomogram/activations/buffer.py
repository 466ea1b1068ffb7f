"""The shuffle buffer: activations of far-apart tokens, mixed into batches for training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from tomogram.activations.stream import stream, widths
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText


@dataclass(frozen=True, eq=False, slots=True)
class Mixture:
    """Activations of tokens drawn from all over the text.

    ``mixture[site]`` is ``[tokens width]``: a view of the buffer, so it holds until the next
    mixture is asked for, and is not to be written to.

    Args:
        positions: where each token stands in the packed text, row · context + place in the row.
        activations: by site; the same tokens in the same order at every site.
    """

    positions: Int64[np.ndarray, " tokens"]
    activations: Mapping[Site, Float[Tensor, "tokens width"]]

    def __getitem__(self, site: Site) -> Float[Tensor, "tokens width"]:
        return self.activations[site]


class ShuffleBuffer:
    """Mixes activations for training, straight from the model.

    In each epoch the rows of the text are put in a new random order and dealt into *fillings* of at
    most ``capacity`` tokens.  A filling's tokens are written to random places of a buffer allocated
    once, and handed out from its beginning to its end.  So every token has its turn once an epoch
    (but the few that fill no batch), nothing is ever moved twice, and batch number i depends on i
    and the arguments alone: a checkpoint needs no more than i.

    Args:
        capacity: tokens in the buffer; more mixes better and costs ``n_bytes``.
        batch_tokens: tokens in a mixture.
        batch_rows: rows of text in one forward pass.
        seed: decides every order.
        keep: the tokens that take part; all when None.

    Raises:
        TomogramError: the text or the buffer is smaller than one batch.
    """

    def __init__(
        self,
        model: Model,
        text: PackedText,
        sites: Sequence[Site],
        *,
        capacity: int,
        batch_tokens: int,
        batch_rows: int,
        seed: int,
        keep: Bool[np.ndarray, "rows context"] | None = None,
    ) -> None:
        self._model, self._text, self._sites = model, text, tuple(sites)
        self._batch_tokens, self._batch_rows, self._seed = batch_tokens, batch_rows, seed
        self._keep = np.ones(text.tokens.shape, dtype=bool) if keep is None else keep
        rows = min(max(capacity // text.context, 1), text.rows)
        self._fillings = -(-text.rows // rows)
        if self._epoch_batches(0) == 0:
            raise TomogramError(
                f"A buffer of {rows * text.context} tokens is too small for batches of "
                f"{batch_tokens}: give more text or smaller batches."
            )
        self._values = {
            site: torch.empty(
                (rows * text.context, width),
                dtype=model.dtype,
                device=model.device,
            )
            for site, width in widths(model, self._sites, text.context).items()
        }

    @property
    def n_bytes(self) -> int:
        """Memory the buffer takes."""
        return sum(value.nbytes for value in self._values.values())

    def n_batches(self, epochs: int) -> int:
        """Batches in so many epochs."""
        return sum(self._epoch_batches(epoch) for epoch in range(epochs))

    def batches(self, start: int = 0) -> Iterator[Mixture]:
        """Yield batch ``start`` and all that follow, epoch after epoch, without end."""
        epoch = 0
        while start >= (count := self._epoch_batches(epoch)):
            start -= count
            epoch += 1
        while True:
            for number, rows in enumerate(self._deal(epoch)):
                count = self._filling_batches(rows)
                if start < count:
                    yield from self._filling(rows, (self._seed, epoch, number), start)
                start = max(start - count, 0)
            epoch += 1

    def _deal(self, epoch: int) -> list[NDArray[np.int64]]:
        """The rows of each filling of an epoch; fillings differ by one row at most."""
        order = np.random.default_rng((self._seed, epoch)).permutation(self._text.rows)
        return np.array_split(order, self._fillings)

    def _epoch_batches(self, epoch: int) -> int:
        return sum(map(self._filling_batches, self._deal(epoch)))

    def _filling_batches(self, rows: NDArray[np.int64]) -> int:
        return int(self._keep[rows].sum()) // self._batch_tokens

    def _filling(
        self, rows: NDArray[np.int64], seed: tuple[int, int, int], start: int
    ) -> Iterator[Mixture]:
        context, size = self._text.context, self._batch_tokens
        kept = self._keep[rows].ravel()
        # The place in the buffer of each kept token, in the order the model reaches them.
        places = np.random.default_rng(seed).permutation(int(kept.sum()))
        positions = (rows[:, None] * context + np.arange(context)).ravel()[kept]
        mixed = np.empty_like(positions)
        mixed[places] = positions
        self._fill(rows, kept, places)
        for low in range(start * size, len(places) - size + 1, size):
            window = slice(low, low + size)
            yield Mixture(
                mixed[window], {site: value[window] for site, value in self._values.items()}
            )

    def _fill(
        self, rows: NDArray[np.int64], kept: NDArray[np.bool_], places: NDArray[np.int64]
    ) -> None:
        device = self._model.device
        read = written = 0
        for batch in stream(
            self._model, self._text, self._sites, batch_rows=self._batch_rows, rows=rows
        ):
            tokens = len(batch.rows) * self._text.context
            chosen = np.flatnonzero(kept[read : read + tokens])
            target = torch.from_numpy(places[written : written + len(chosen)]).to(device)
            for site, value in self._values.items():
                picked = batch[site]
                if len(chosen) < tokens:
                    picked = picked[torch.from_numpy(chosen).to(device)]
                value.index_copy_(0, target, picked.to(value.dtype))
            read += tokens
            written += len(chosen)
