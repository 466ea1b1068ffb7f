"""Text sampled from the model itself, so that any model can be scanned without a text."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from tomogram.models.generate import stop_tokens
from tomogram.models.model import Model
from tomogram.store.atomic import write_bytes
from tomogram.store.errors import TomogramError
from tomogram.store.progress import task
from tomogram.text.packing import PackedText, opening_token

CACHE_BYTES = 1 << 30
"""Memory for the keys and values of the rows sampled at once."""

MOST_ROWS = 128
"""More rows at once make the matrix products no faster."""


def sample(
    model: Model, n_tokens: int, context: int, seed: int, *, checkpoints: Path | None = None
) -> PackedText:
    """Sample text from a model at temperature 1.

    Every row is one sample as long as the context, begun with the token that opens documents.  When
    the model ends a document it goes on with the next one in the same row, as in packed text.  A
    row depends on the seed and its own number (its last bits also on the rows sampled beside it).

    Args:
        n_tokens: how many tokens, rounded up to whole rows.
        context: tokens in a row.
        checkpoints: folder where finished blocks of rows are kept; a call with the same arguments
            goes on from them.  The caller removes it.

    Raises:
        TomogramError: the context does not fit the model, or no token opens or ends its documents,
            or its predictions are not finite, or a checkpoint cannot be written.
    """
    _check(model, n_tokens, context)
    opening, ends = _marks(model)
    rows = -(-n_tokens // context)
    step = _rows_at_once(model, context)
    blocks = [range(low, min(low + step, rows)) for low in range(0, rows, step)]
    tokens = np.empty((rows, context), dtype=np.int32)
    with task("sample text", total=rows * context, unit="tokens") as progress:
        for block in blocks:
            path = None if checkpoints is None else checkpoints / f"rows-{block.start:08d}.npy"
            found = None if path is None else _read(path, (len(block), context))
            if found is None:
                found = _block(model, block, context, seed, opening, ends, progress)
                if path is not None:
                    _write(path, found)
            else:
                progress.advance(found.size)
            tokens[block.start : block.stop] = found
    # Every row and every document begins with the opening token.
    documents = np.cumsum(tokens == opening, dtype=np.int32).reshape(tokens.shape) - 1
    return PackedText(tokens, documents)


def _check(model: Model, n_tokens: int, context: int) -> None:
    if n_tokens < 1:
        raise TomogramError(f"At least one token must be sampled, not {n_tokens}.")
    if not 1 <= context <= model.context:
        raise TomogramError(
            f"The context must be between 1 and {model.context} tokens, not {context}."
        )


def _marks(model: Model) -> tuple[int, frozenset[int]]:
    """The token that opens documents and those that end one.

    A model that knows no opening token has seen the ending one before each document but the first.
    """
    ends = stop_tokens(model)
    config = model.module.config
    opening = None if model.tokenizer is None else opening_token(model.tokenizer)
    for candidate in (opening, getattr(config, "bos_token_id", None), *sorted(ends)):
        if candidate is not None:
            return int(candidate), ends
    raise TomogramError(
        f"{model.name} names no token that begins or ends a text, so no text can be sampled from "
        "it: give one with --text."
    )


def _rows_at_once(model: Model, context: int) -> int:
    config = model.module.config
    heads = getattr(config, "num_key_value_heads", None) or model.n_heads
    d_head = getattr(config, "head_dim", None) or model.d_model // model.n_heads
    row = 2 * model.n_layers * heads * d_head * context * model.dtype.itemsize
    return min(max(CACHE_BYTES // row, 1), MOST_ROWS)


@torch.inference_mode()
def _block(
    model: Model,
    rows: range,
    context: int,
    seed: int,
    opening: int,
    ends: frozenset[int],
    progress: Any,
) -> NDArray[np.int32]:
    """Sample some rows side by side."""
    chances = torch.from_numpy(
        np.stack([np.random.default_rng((seed, row)).random(context) for row in rows])
    ).to(model.device, _exact(model.device))
    cache = Cache(layers=[_Layer(context) for _ in range(model.n_layers)])
    ending = torch.tensor(sorted(ends - {opening}), dtype=torch.int64, device=model.device)
    tokens = torch.full((len(rows), context), opening, device=model.device)
    progress.advance(len(rows))
    for place in range(1, context):
        before = tokens[:, place - 1 : place]
        output = model.module(input_ids=before, past_key_values=cache, use_cache=True)
        drawn = _draw(output.logits[:, -1], chances[:, place], model.name)
        # An ended document is followed by the opening of the next.
        tokens[:, place] = torch.where(torch.isin(before[:, 0], ending), opening, drawn)
        progress.advance(len(rows))
    return tokens.to("cpu", torch.int32).numpy()


def _exact(device: torch.device) -> torch.dtype:
    """The most exact number format of a device: Apple's has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def _draw(
    logits: Float[Tensor, "rows d_vocab"], chances: Float[Tensor, " rows"], name: str
) -> Int[Tensor, " rows"]:
    """Draw a token a row, by inverting the distribution at a uniform number.

    One random number a token, where drawing with noise on every logit needs one a vocabulary entry.
    """
    heap = logits.float().softmax(-1).cumsum(-1, dtype=chances.dtype)
    if not bool(heap[:, -1].isfinite().all()):
        raise TomogramError(f"The predictions of {name} are not finite numbers.")
    wanted = (chances * heap[:, -1]).unsqueeze(1)
    # right=True: a token of probability 0 is never drawn.
    return torch.searchsorted(heap, wanted, right=True).clamp(max=heap.shape[1] - 1).squeeze(1)


class _Layer(DynamicLayer):
    """Keys and values of one layer in memory allocated once; the library's own is recopied at
    every token, which takes as long as the model itself."""

    def __init__(self, context: int) -> None:
        super().__init__()
        self._context, self._length = context, 0

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._keys, self._values = (self._room(new) for new in (key_states, value_states))
        window = slice(self._length, self._length + key_states.shape[-2])
        self._keys[..., window, :] = key_states
        self._values[..., window, :] = value_states
        self._length = window.stop
        self.keys, self.values = (
            whole[..., : window.stop, :] for whole in (self._keys, self._values)
        )
        return self.keys, self.values

    def _room(self, new: Tensor) -> Tensor:
        return new.new_empty((*new.shape[:-2], self._context, new.shape[-1]))


def _read(path: Path, shape: tuple[int, int]) -> NDArray[np.int32] | None:
    """A block that an interrupted call left, or None."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == shape and found.dtype == np.int32 else None


def _write(path: Path, block: NDArray[np.int32]) -> None:
    file = io.BytesIO()
    np.save(file, block, allow_pickle=False)
    write_bytes(path, file.getvalue())
