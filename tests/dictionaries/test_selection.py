"""The largest entries of rows, against sorting."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tomogram.dictionaries.selection import largest_of, reaching

DTYPES = [torch.bfloat16, torch.float16, torch.float32, torch.float64]


def _scores(seed: int, rows: int, width: int, coarse: bool, shift: float) -> torch.Tensor:
    scores = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)) + shift
    # Bits tell -0 from 0, and nobody needs that.
    return scores.round() + 0.0 if coarse else scores


@given(
    seed=st.integers(0, 2**31),
    rows=st.integers(1, 9),
    width=st.sampled_from([1, 2, 7, 64, 96, 513, 1024]),
    share=st.floats(0, 1),
    coarse=st.booleans(),
    shift=st.sampled_from([-3.0, 0.0, 3.0]),
    dtype=st.sampled_from(DTYPES),
)
@settings(deadline=None, max_examples=100)
def test_the_k_largest_are_found_whatever_their_sign_and_however_many_are_equal(
    seed, rows, width, share, coarse, shift, dtype
):
    scores = _scores(seed, rows, width, coarse, shift).to(dtype)
    k = max(1, int(share * width))
    entries = reaching(scores, k)
    places = largest_of(entries, entries.values, k)
    columns = torch.from_numpy(entries.columns)[places]
    # The first of equals win, and columns rise.
    order = scores.double().sort(dim=1, descending=True, stable=True).indices[:, :k]
    assert torch.equal(columns, order.sort(1).values)
    assert torch.equal(entries.values[places], scores.gather(1, columns))


@pytest.mark.parametrize("dtype", DTYPES)
def test_all_entries_that_reach_the_bound_are_there_and_no_others(dtype):
    scores = _scores(1, 20, 640, coarse=False, shift=0.0).to(dtype)
    entries = reaching(scores, 10)
    assert entries.counts.min() >= 10
    assert entries.counts.mean() < 15
    for row, (first, last) in enumerate(zip(entries.starts, entries.starts[1:], strict=False)):
        reached = (scores[row] >= entries.bounds[row]).nonzero()[:, 0]
        assert entries.columns[first:last].tolist() == reached.tolist()
        assert torch.equal(entries.values[first:last], scores[row, reached])


def test_slack_takes_in_what_is_a_few_steps_of_bfloat16_below():
    steps = (torch.arange(64, dtype=torch.int16) + 16_256).view(torch.bfloat16)  # from 1.0 up
    scores = torch.stack([steps, -steps])
    for slack in range(5):
        entries = reaching(scores, 4, slack=slack)
        assert entries.counts.tolist() == [4 + slack] * 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_what_is_no_number_give_k_entries(dtype, value):
    scores = _scores(2, 3, 256, coarse=False, shift=0.0).to(dtype)
    scores[1] = value
    scores[2, ::2] = value
    entries = reaching(scores, 5)
    places = largest_of(entries, entries.values, 5)
    columns = torch.from_numpy(entries.columns)[places]
    assert columns[1].tolist() == [0, 1, 2, 3, 4]
    assert columns[0].tolist() == scores[0].topk(5).indices.sort().values.tolist()
    assert (scores[2, columns[2]].isfinite()).all() == (value == -float("inf"))
