"""What a worker does: train one dictionary on the same activations as all others, and say how well
it reconstructs others at the L0 that was asked for.

Imported by scripts that run in environments of their own, so it needs nothing but torch and numpy.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

CHUNK = 2_048
"""Tokens that are encoded at once, and tokens on which thresholds are set."""


@dataclass(frozen=True)
class Order:
    """What is trained.

    train, measured: files of activations [tokens width].
    tokens: how many of the training file are read, each once, in an order that the seed decides.
    documented: whether the library's own learning rate, batch and schedule stand; `rate` and
        `batch` are then not used.
    l0: active latents a token.
    penalty: the weight of a kind's sparsity penalty, None for the library's own.
    """

    train: str
    measured: str
    tokens: int
    kind: str
    latents: int
    l0: int
    rate: float
    batch: int
    seed: int
    documented: bool = False
    penalty: float | None = None
    threads: int = 1


class Trained(Protocol):
    """A dictionary that a worker hands over."""

    thresholds: bool
    """Whether its latents have thresholds, which `encode` multiplies by the factor."""

    def encode(self, x: torch.Tensor, factor: float) -> torch.Tensor:
        """Dense latents [tokens latents], 0 where none fires."""

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """The reconstruction [tokens width]."""


@dataclass(frozen=True)
class Coder:
    """A `Trained` of two functions."""

    encode: Callable[[torch.Tensor, float], torch.Tensor]
    decode: Callable[[torch.Tensor], torch.Tensor]
    thresholds: bool


@dataclass(frozen=True)
class Data:
    """The training tokens of an order, shuffled by its seed."""

    x: torch.Tensor

    @classmethod
    def of(cls, order: Order) -> Data:
        held = np.load(order.train, mmap_mode="r")
        if len(held) < order.tokens:
            raise ValueError(f"{order.train} holds {len(held)} tokens, not {order.tokens}.")
        x = torch.from_numpy(np.array(held[: order.tokens]))
        return cls(x[torch.randperm(len(x), generator=torch.Generator().manual_seed(order.seed))])

    def batches(self, size: int) -> Iterator[torch.Tensor]:
        """Whole batches, once through."""
        for start in range(0, len(self.x) - size + 1, size):
            yield self.x[start : start + size]

    def endless(self, size: int) -> Iterator[torch.Tensor]:
        """Whole batches, over and over."""
        while True:
            yield from self.batches(size)


def serve(train: Callable[[Order, Data], Trained]) -> None:
    """Train by the order in the first argument and write one line of JSON: FVU and L0 on the
    measured tokens as the library leaves the dictionary, and with its thresholds multiplied by the
    one factor that gives the training tokens the L0 that was asked for; and processor seconds.

    FVU = Σ‖x − x̂‖² / Σ‖x − x̄‖² over all measured tokens, the residual not centred.
    """
    # Libraries print when they are imported or built; the answer must stand alone.
    answers, sys.stdout = sys.stdout, sys.stderr
    order = Order(**json.loads(sys.argv[1]))
    torch.set_num_threads(order.threads)
    data = Data.of(order)
    start = time.process_time()
    trained = train(order, data)
    seconds = time.process_time() - start
    measured = torch.from_numpy(np.load(order.measured))
    with torch.no_grad():
        fvu, l0 = score(trained, measured, 1.0)
        factor = 1.0
        if trained.thresholds:
            factor = at_l0(trained, data.x[-4 * CHUNK :], order.l0)
        equal_fvu, equal_l0 = score(trained, measured, factor)
    answer = {
        "fvu": equal_fvu,
        "l0": equal_l0,
        "fvu_as_left": fvu,
        "l0_as_left": l0,
        "factor": factor,
        "cpu_seconds": seconds,
    }
    print(json.dumps(answer), file=answers, flush=True)


def score(trained: Trained, x: torch.Tensor, factor: float) -> tuple[float, float]:
    """FVU and L0 of some activations, summed in float64."""
    error, fired = 0.0, 0
    for part in x.split(CHUNK):
        latents = trained.encode(part, factor)
        missed = part.double() - trained.decode(latents).double()
        error += missed.square().sum().item()
        fired += int((latents != 0).sum())
    wide = x.double()
    return error / (wide - wide.mean(0)).square().sum().item(), fired / len(x)


def at_l0(trained: Trained, x: torch.Tensor, l0: float) -> float:
    """The factor of the thresholds at which `l0` latents fire on a token of x, by bisection of its
    logarithm; within the bounds 1/1000 and 1000."""
    low, high = 1e-3, 1e3
    for _ in range(16):
        middle = (low * high) ** 0.5
        fired = sum(int((trained.encode(part, middle) != 0).sum()) for part in x.split(CHUNK))
        low, high = (middle, high) if fired > l0 * len(x) else (low, middle)
    return (low * high) ** 0.5
