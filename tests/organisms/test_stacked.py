"""Stacked changes: Adam as torch has it, a slot at a time, and nobody touches another's slot."""

from __future__ import annotations

import pytest
import torch

from tomogram.models.model import Model
from tomogram.organisms.delta import Factors, matrices
from tomogram.organisms.stacked import EPSILON, Change, Stack, empty, fresh, writers


def _gradients(n: int, shape: tuple[int, ...]) -> list[torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=draws) for _ in range(n)]


def test_steps_are_those_of_torchs_adam() -> None:
    first = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
    own = Stack({"w": Change(first.clone(), None)})
    theirs = [first[i].clone().requires_grad_() for i in range(2)]
    adams = [
        torch.optim.Adam([p], lr=lr, betas=(0.9, 0.98), eps=EPSILON)
        for p, lr in zip(theirs, (0.1, 0.02), strict=True)
    ]
    for gradient in _gradients(5, (2, 3, 4)):
        own.step([gradient], torch.tensor([0.1, 0.02]))
        for i, adam in enumerate(adams):
            theirs[i].grad = gradient[i].clone()
            adam.step()
    for i in range(2):
        assert torch.allclose(own.changes["w"].up[i], theirs[i], atol=1e-5)


def test_a_slot_begins_anew_while_the_other_goes_on() -> None:
    start = torch.zeros(3, 4)
    own, alone = (Stack({"w": Change(torch.zeros(n, 3, 4), None)}) for n in (2, 1))
    gradients = _gradients(6, (2, 3, 4))
    rates = torch.tensor([0.1, 0.1])
    for gradient in gradients[:3]:
        own.step([gradient], rates)
    kept = own.changes["w"].up[0].clone()
    own.put(1, {"w": start})
    assert torch.equal(own.changes["w"].up[0], kept)
    for gradient in gradients[3:]:
        own.step([gradient], rates)
        alone.step([gradient[1:]], rates[1:])
    assert torch.allclose(own.changes["w"].up[1], alone.changes["w"].up[0], atol=1e-6)


def test_slots_that_are_kept_go_on_as_they_were() -> None:
    whole = Stack({"w": Change(torch.zeros(3, 2, 2), None)})
    gradients = _gradients(4, (3, 2, 2))
    for gradient in gradients[:2]:
        whole.step([gradient], torch.full((3,), 0.1))
    part = whole.keep([2, 0])
    for gradient in gradients[2:]:
        whole.step([gradient], torch.full((3,), 0.1))
        part.step([gradient[[2, 0]]], torch.full((2,), 0.1))
    assert torch.allclose(part.changes["w"].up, whole.changes["w"].up[[2, 0]], atol=1e-6)


@pytest.mark.parametrize("form", ["lora", "full"])
def test_a_fresh_change_is_nothing(model: Model, form: str) -> None:
    stack = empty(model, form, 2)
    stack.put(0, fresh(model, form, 3))
    delta = stack.take(0)
    assert all(bool((each.dense() == 0).all()) for each in delta.values())
    assert list(stack.changes) == list(matrices(model))


def test_a_hook_adds_each_slots_change_to_its_own_rows(model: Model) -> None:
    name = writers(model)[1]
    part = matrices(model)[name]
    stack = empty(model, "edit", 2)
    d_out, d_in = part.weight.shape
    draws = torch.Generator().manual_seed(0)
    factors = Factors(torch.randn(1, d_in, generator=draws), torch.randn(d_out, 1, generator=draws))
    nothing = Factors(torch.zeros(1, d_in), torch.zeros(d_out, 1))
    others = dict.fromkeys(writers(model), nothing)
    stack.put(1, {**others, name: factors})
    read = torch.randn(4, 3, d_in, generator=draws)  # two rows a slot
    before = part(read)
    with stack.hooked(model):
        after = part(read)
    assert torch.equal(after[:2], before[:2])
    assert torch.allclose(after[2:] - before[2:], read[2:] @ factors.dense().T, atol=1e-4)
    assert torch.equal(part(read), before)  # the hook is gone
    assert list(stack.take(1)) == [name]
