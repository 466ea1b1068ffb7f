"""Blocks of rows on threads of their own."""

from __future__ import annotations

import threading

import pytest
import torch

from tomogram.dictionaries import kernels
from tomogram.dictionaries.blocks import over_blocks


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


def test_every_row_is_worked_on_once_by_threads_on_which_torch_uses_one(threads):
    counts, inside, busy = torch.zeros(100), [], set()

    def work(rows: slice, own: list[int]) -> None:
        assert id(own) not in busy
        busy.add(id(own))
        inside.append((torch.get_num_threads(), torch.is_grad_enabled(), len(own)))
        counts[rows] += 1
        busy.discard(id(own))

    over_blocks(work, 100, 7, lambda rows: [0] * rows)
    assert (counts == 1).all()
    assert set(inside) == {(1, False, 7)}
    assert len(inside) == 15
    assert torch.get_num_threads() == threads


def test_an_error_in_a_block_is_raised_and_the_next_call_works(threads):
    def work(rows: slice, own: None) -> None:
        if rows.start == 10:
            raise ValueError("ten")

    for _ in range(3):
        with pytest.raises(ValueError, match="ten"):
            over_blocks(work, 100, 5, lambda rows: None)
    seen = threading.Event()
    over_blocks(lambda rows, own: seen.set(), 8, 4, lambda rows: None)
    assert seen.is_set()


def test_no_rows_are_no_work():
    over_blocks(lambda rows, own: pytest.fail("there are no rows"), 0, 4, lambda rows: None)


def test_a_search_is_the_same_bit_for_bit_with_any_number_of_threads(threads, monkeypatch):
    monkeypatch.setattr(kernels, "CHUNK", 40 * 640)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 32, generator=generator)
    weight, bias = torch.randn(640, 32, generator=generator), torch.zeros(640)
    several = kernels.search(x, weight, bias, 9)
    torch.set_num_threads(1)
    for one, other in zip(several, kernels.search(x, weight, bias, 9), strict=True):
        assert torch.equal(one, other)
