"""The buffer hands out every token once an epoch, mixed, with its own activations."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.activations.conftest import tiny_model, tiny_text
from tomogram.activations.buffer import ShuffleBuffer
from tomogram.activations.stream import stream
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

SITES = (Site("resid_post", 0), Site("mlp_in", 1), Site("mlp_out", 1))
MODEL = tiny_model()


def buffer(text: PackedText, model: Model = MODEL, **changes: object) -> ShuffleBuffer:
    arguments = {"capacity": 64, "batch_tokens": 16, "batch_rows": 3, "seed": 0} | changes
    return ShuffleBuffer(model, text, SITES, **arguments)


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(4, 30),
    capacity=st.integers(1, 300),
    batch_tokens=st.integers(1, 32),
    batch_rows=st.integers(1, 9),
    seed=st.integers(0, 5),
    share=st.sampled_from([0.3, 0.9, 1.0]),
)
def test_every_token_at_most_once_an_epoch_with_its_own_activations(
    rows: int, capacity: int, batch_tokens: int, batch_rows: int, seed: int, share: float
) -> None:
    text = tiny_text(rows)
    keep = np.random.default_rng(seed).random(text.tokens.shape) < share
    arguments = {
        "capacity": capacity,
        "batch_tokens": batch_tokens,
        "batch_rows": batch_rows,
        "seed": seed,
        "keep": keep,
    }
    try:
        mixing = buffer(text, **arguments)
    except TomogramError:
        assert min(max(capacity, 8), text.n_tokens) * share < 3 * batch_tokens
        return
    whole = next(stream(MODEL, text, SITES, batch_rows=rows))
    seen = []
    for mixture in islice(mixing.batches(), mixing.n_batches(1)):
        assert mixture.positions.shape == (batch_tokens,)
        seen.append(mixture.positions)
        for site in SITES:
            torch.testing.assert_close(mixture[site], whole[site][mixture.positions])
    positions = np.concatenate(seen)
    assert len(np.unique(positions)) == len(positions)
    assert keep.ravel()[positions].all()
    fillings = -(-rows // min(max(capacity // 8, 1), rows))
    assert len(positions) > keep.sum() - fillings * batch_tokens


@settings(deadline=None, max_examples=20)
@given(start=st.integers(0, 60), seed=st.integers(0, 3))
def test_batch_number_i_depends_on_i_alone(start: int, seed: int) -> None:
    text = tiny_text(23)
    keep = text.tokens != 1
    whole = buffer(text, seed=seed, keep=keep)
    resumed = next(buffer(text, seed=seed, keep=keep).batches(start))
    wanted = next(islice(whole.batches(), start, None))
    assert (wanted.positions == resumed.positions).all()
    for site in SITES:
        assert torch.equal(wanted[site], resumed[site])


def test_an_epoch_ends_where_the_next_begins(text: PackedText) -> None:
    mixing = buffer(text, batch_tokens=8)
    count = mixing.n_batches(1)
    assert count == text.n_tokens // 8
    positions = [mixture.positions for mixture in islice(mixing.batches(), 2 * count)]
    first, second = np.concatenate(positions[:count]), np.concatenate(positions[count:])
    assert sorted(first) == sorted(second) == list(range(text.n_tokens))
    assert (first != second).any()
    assert mixing.n_batches(2) == 2 * count


def test_a_batch_mixes_many_rows() -> None:
    text = tiny_text(64)
    mixture = next(buffer(text, capacity=64 * 8, batch_tokens=64).batches())
    # 64 tokens drawn from 64 rows without order hit about 64 (1 - 1/e) = 40 of them.
    assert len(np.unique(mixture.positions // text.context)) > 30


def test_the_buffer_is_filled_in_place(text: PackedText) -> None:
    mixing = buffer(text)
    places = {
        mixture[SITES[0]].untyped_storage().data_ptr()
        for mixture in islice(mixing.batches(), 3 * mixing.n_batches(1))
    }
    assert len(places) == 1
    assert mixing.n_bytes == 64 * 3 * 16 * 4


def test_seeds_differ(text: PackedText) -> None:
    one, other = (next(buffer(text, seed=seed).batches()).positions for seed in (0, 1))
    assert (one != other).any()


def test_bfloat16(text: PackedText) -> None:
    half = tiny_model()
    half.module.to(torch.bfloat16)
    assert next(buffer(text, half).batches())[SITES[0]].dtype == torch.bfloat16


@pytest.mark.parametrize("changes", [{"capacity": 8}, {"batch_tokens": 1000, "capacity": 1000}])
def test_too_small(text: PackedText, changes: dict[str, int]) -> None:
    with pytest.raises(TomogramError, match="too small"):
        buffer(text, **changes)
