"""The frozen map backwards is the transpose of the map forwards, however it is worked out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.circuits.graph.conftest import PROMPT, tiny
from tomogram.circuits.graph.frozen import Few, FrozenAttention, freeze
from tomogram.models.model import Model

POS = len(PROMPT)


@pytest.fixture
def attention(model: Model) -> FrozenAttention:
    return freeze(model, torch.tensor(PROMPT), dtype=torch.float64).blocks[1].attention


def back(attention: FrozenAttention, g: Tensor) -> Tensor:
    return attention.to_stream(attention.to_values(attention.to_mixed(g)))


def directions(width: int, n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(n, width, generator=generator, dtype=torch.float64)
    return vectors, torch.randint(POS, (n,), generator=generator)


def test_back_is_the_transpose_of_forward(attention: FrozenAttention) -> None:
    generator = torch.Generator().manual_seed(1)
    width = attention.values.shape[0]
    x, g = torch.randn(2, POS, 3, width, generator=generator, dtype=torch.float64)
    forwards = torch.einsum("pnd,pnd->n", attention.forward(x), g)
    backwards = torch.einsum("pnd,pnd->n", x, back(attention, g))
    assert torch.allclose(forwards, backwards, rtol=1e-10)


def test_a_few_directions_are_carried_as_many_are(attention: FrozenAttention) -> None:
    vectors, positions = directions(attention.values.shape[0], 4)
    one = Few.at(vectors, positions, POS)
    written = one.written_out()
    assert len(one) == 1
    assert torch.equal(written[positions, torch.arange(4)], vectors)
    assert torch.equal(written.abs().sum(), vectors.abs().sum())
    told = attention.back_from(vectors, positions, POS)
    assert len(told) == len(attention.outputs)
    assert torch.allclose(told.written_out(), back(attention, written), rtol=1e-10)
    both = one.joined(told)
    assert torch.allclose(both.written_out(), written + told.written_out(), rtol=1e-10)
    assert torch.allclose(both.mixed(attention), attention.to_mixed(both.written_out()), rtol=1e-9)


def test_the_first_positions_alone_are_carried_alone() -> None:
    held = freeze(tiny("llama"), torch.tensor(PROMPT), dtype=torch.float64).blocks[1].attention
    vectors, positions = directions(held.values.shape[0], 3)
    positions = positions.clamp(max=4)
    short = held.back_from(vectors, positions, 5).written_out()
    whole = held.back_from(vectors, positions, POS).written_out()
    assert torch.allclose(short, whole[:5], rtol=1e-10)
    assert float(whole[5:].abs().max()) == 0
