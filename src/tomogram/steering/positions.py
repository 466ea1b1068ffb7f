"""Positions: on which tokens of a forward pass an edit acts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from tomogram.models.model import Model
from tomogram.store.errors import TomogramError


@dataclass(frozen=True, eq=False)
class Pass:
    """What one forward pass of the model reads.

    tokens: ids. positions: the place of each in its text, from 0. first: whether the pass begins
    the text, rather than going on from a key-value cache.
    """

    tokens: Int[Tensor, "batch pos"]
    positions: Int[Tensor, "batch pos"]
    first: bool


Where = Callable[[Pass], Bool[Tensor, "batch pos"]]
"""Marks the tokens of a pass on which an edit acts."""


def everywhere(now: Pass) -> Bool[Tensor, "batch pos"]:
    """Every token, of prompts and of what is generated."""
    return torch.ones_like(now.tokens, dtype=torch.bool)


def generated(now: Pass) -> Bool[Tensor, "batch pos"]:
    """Throughout generation and not on the prompt: each token from which a new one is predicted.

    That is the last token of the pass that reads the prompts, and every token after it. A pass
    that is no generation counts as one that reads prompts.
    """
    mask = torch.zeros_like(now.tokens, dtype=torch.bool)
    mask[:, -1 if now.first else 0 :] = True
    return mask


@dataclass(frozen=True)
class OnTokens:
    """On tokens of certain ids, such as the one that opens the assistant's turn."""

    ids: frozenset[int]

    def __call__(self, now: Pass) -> Bool[Tensor, "batch pos"]:
        """Marks the tokens of these ids."""
        return torch.isin(now.tokens, torch.tensor(sorted(self.ids), device=now.tokens.device))


@dataclass(frozen=True)
class Between:
    """From one position of each text on, up to but without another; to the end where None.

    Raises:
        TomogramError: the positions are below 0 or hold none between them.
    """

    start: int = 0
    end: int | None = None

    def __post_init__(self) -> None:
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise TomogramError(f"There is no position from {self.start} up to {self.end}.")

    def __call__(self, now: Pass) -> Bool[Tensor, "batch pos"]:
        """Marks the positions between."""
        mask = now.positions >= self.start
        return mask if self.end is None else mask & (now.positions < self.end)


@dataclass
class Watch:
    """The forward pass that is running; `now` asks for it."""

    _now: Pass | None = field(default=None)

    def now(self) -> Pass:
        """The pass that is running. It is an error to ask outside one."""
        assert self._now is not None, "no forward pass is running"
        return self._now

    def rows(self) -> int:
        """How many rows the pass has."""
        return len(self.now().tokens)


@contextmanager
def watching(model: Model) -> Iterator[Watch]:
    """Within the block the watch knows what each forward pass of the model reads."""
    watch = Watch()

    def before(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        watch._now = _pass(args, kwargs)

    handle = model.module.register_forward_pre_hook(before, with_kwargs=True)
    try:
        yield watch
    finally:
        handle.remove()


def _pass(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pass:
    tokens = kwargs["input_ids"] if "input_ids" in kwargs else (args[0] if args else None)
    if tokens is None:
        raise TomogramError("A steered model reads token ids, not embeddings.")
    cache, mask = kwargs.get("past_key_values"), kwargs.get("attention_mask")
    past = 0 if cache is None else int(cache.get_seq_length())
    positions = kwargs.get("position_ids")
    if positions is None and mask is not None and mask.ndim == 2:
        # Prompts padded on the left begin where their mask does.
        positions = (mask.long().cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
    if positions is None:
        positions = torch.arange(past, past + tokens.shape[1], device=tokens.device)
    return Pass(tokens, positions.expand(tokens.shape), past == 0)
