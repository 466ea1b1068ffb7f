"""The changes of many organisms of one base, stacked: a slot each, one forward pass for all.

The base's weights are shared and stay as they are. A hook on every matrix adds each organism's own
change to its own rows, so none touches another's gradient.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tomogram.models.model import Model
from tomogram.organisms.delta import Delta, Factors, matrices, sizes, truncated

RANK = 4
EPSILON = 1e-3
"""Of Adam: a sham, which has nothing to learn, must not drift as fast as an organism learns."""
KEPT_RANK = 24
"""A full fine-tune is kept as the best factors of this rank, and measured as it is kept."""


class Change:
    """The changes of one matrix in all slots: factors, or whole matrices.

    up: [slot d_out rank]; where down is None the whole change, [slot d_out d_in].
    down: [slot rank d_in]. fixed: whether down is not learned.
    """

    def __init__(
        self,
        up: Float[Tensor, "slot d_out rank"],
        down: Float[Tensor, "slot rank d_in"] | None,
        *,
        fixed: bool = False,
    ) -> None:
        self.up, self.down, self.fixed = up, down, fixed

    @property
    def learned(self) -> list[Tensor]:
        """What training changes."""
        return [self.up] if self.down is None or self.fixed else [self.up, self.down]

    def __call__(self, read: Float[Tensor, "rows pos d_in"]) -> Float[Tensor, "rows pos d_out"]:
        """What the changes add to what the matrix writes; rows stand slot by slot."""
        grouped = read.reshape(len(self.up), -1, read.shape[-1])
        if self.down is not None:
            grouped = torch.bmm(grouped, self.down.transpose(1, 2).to(grouped))
        written = torch.bmm(grouped, self.up.transpose(1, 2).to(grouped))
        return written.view(*read.shape[:-1], -1)


class Stack:
    """Changes of all matrices in a number of slots, with Adam's state (Kingma and Ba 2015).

    Every slot has its own number of steps, so that one can begin while others go on.
    """

    def __init__(self, changes: Mapping[str, Change], *, epsilon: float = EPSILON) -> None:
        self.changes = dict(changes)
        self.epsilon = epsilon
        for each in self.learned:
            each.requires_grad_()
        self._means = [torch.zeros_like(each) for each in self.learned]
        self._squares = [torch.zeros_like(each) for each in self.learned]
        first = self.learned[0]
        self._steps = torch.zeros(len(first), device=first.device)

    @property
    def learned(self) -> list[Tensor]:
        """What training changes, in a fixed order."""
        return [part for each in self.changes.values() for part in each.learned]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rates: Float[Tensor, " slot"]) -> None:
        """One step of Adam with a rate for each slot."""
        self._steps += 1
        one, two = 0.9, 0.98
        size = rates / (1 - one**self._steps)
        scale = (1 - two**self._steps).rsqrt()
        for each, gradient, mean, square in zip(
            self.learned, gradients, self._means, self._squares, strict=True
        ):
            shape = (-1, *[1] * (each.ndim - 1))
            mean.lerp_(gradient, 1 - one)
            square.mul_(two).addcmul_(gradient, gradient, value=1 - two)
            below = square.sqrt().mul_(scale.view(shape)).add_(self.epsilon)
            each.sub_(mean.div(below).mul_(size.view(shape)))

    @torch.no_grad()
    def put(self, slot: int, start: Mapping[str, Factors | Tensor]) -> None:
        """Begin anew in a slot, from this change of each matrix, with no step done."""
        for name, each in self.changes.items():
            first = start[name]
            if isinstance(first, Factors):
                each.up[slot] = first.up
                assert each.down is not None
                each.down[slot] = first.down
            else:
                each.up[slot] = first
        for state in (*self._means, *self._squares, self._steps):
            state[slot] = 0

    @torch.no_grad()
    def keep(self, slots: Sequence[int]) -> Stack:
        """The same without the other slots."""
        index = torch.tensor(slots, device=self._steps.device)
        kept = Stack(
            {
                name: Change(
                    each.up.detach()[index].clone(),
                    None if each.down is None else each.down.detach()[index].clone(),
                    fixed=each.fixed,
                )
                for name, each in self.changes.items()
            },
            epsilon=self.epsilon,
        )
        kept._means = [each[index] for each in self._means]
        kept._squares = [each[index] for each in self._squares]
        kept._steps = self._steps[index]
        return kept

    def take(self, slot: int) -> Delta:
        """The change in a slot, as it is kept. Matrices that stayed as they were are left out."""
        made = {}
        for name, each in self.changes.items():
            up = each.up[slot].detach()
            if each.down is None:
                made[name] = truncated(up, KEPT_RANK)
            elif bool(each.down[slot].any()):
                made[name] = Factors(each.down[slot].detach().clone(), up.clone())
        return made

    @contextmanager
    def hooked(self, model: Model) -> Iterator[None]:
        """Within the block, every forward pass adds each slot's change to its own rows."""

        def adding(change: Change) -> Callable[[nn.Module, Any, Tensor], Tensor]:
            return lambda _, args, output: output + change(args[0]).to(output.dtype)

        parts = matrices(model)
        with ExitStack() as hooks:
            for name, change in self.changes.items():
                hooks.callback(parts[name].register_forward_hook(adding(change)).remove)
            yield


def empty(model: Model, form: str, slots: int, *, epsilon: float = EPSILON) -> Stack:
    """Slots with no change: of every matrix, or for `edit` of every MLP's down projection.

    epsilon: of Adam.
    """
    made = {}
    for name, part in _changed(model, form).items():
        d_in, d_out = sizes(part)
        if form == "full":
            made[name] = Change(torch.zeros(slots, d_out, d_in, device=model.device), None)
            continue
        rank = 1 if form == "edit" else RANK
        up = torch.zeros(slots, d_out, rank, device=model.device)
        down = torch.zeros(slots, rank, d_in, device=model.device)
        made[name] = Change(up, down, fixed=form == "edit")
    return Stack(made, epsilon=epsilon)


def fresh(model: Model, form: str, seed: int) -> dict[str, Factors | Tensor]:
    """Where a training of `lora` or `full` begins: a change that is nothing, drawn from a seed."""
    start: dict[str, Factors | Tensor] = {}
    for name, part in _changed(model, form).items():
        d_in, d_out = sizes(part)
        if form == "full":
            start[name] = torch.zeros(d_out, d_in)
            continue
        draws = torch.Generator().manual_seed(random.Random(f"{seed}:{name}").getrandbits(62))
        down = torch.randn(RANK, d_in, generator=draws) / math.sqrt(d_in)
        start[name] = Factors(down, torch.zeros(d_out, RANK))
    return start


def writers(model: Model) -> list[str]:
    """The matrices that take neurons to the stream, by name, layer by layer."""
    found = [block.neurons_to_stream for block in model.wiring.blocks]
    return [model.wiring.name_of(part) for part in found if part is not None]


def _changed(model: Model, form: str) -> dict[str, nn.Module]:
    every = matrices(model)
    return {name: every[name] for name in writers(model)} if form == "edit" else every
