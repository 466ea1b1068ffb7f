"""A tree of sequences gives every token what it gets in a row of its own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.families import CONFIGS, CONTEXT, VOCAB, build
from tomogram.models.model import Model
from tomogram.models.packing import pack, padded, reads_trees, tree
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

WORDS = st.lists(st.integers(0, 3), min_size=1, max_size=6)
PROMPTS = [(5, 6, 7, 8, 9), (5, 6, 7, 3), (5, 6, 7, 3, 2, 1), (9,), (5, 6, 7, 8, 9)]


def test_a_shared_beginning_stands_once() -> None:
    made = tree([(5, 6, 7), (5, 6, 8), (9,)])
    assert made.tokens.tolist() == [[5, 6, 7, 8, 9]]
    assert made.layout is not None
    assert made.layout.positions.tolist() == [[0, 1, 2, 2, 0]]
    assert made.places == ((0, 1, 2), (0, 1, 3), (4,))
    seen = (made.layout.mask[0, 0] == 0).int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 0, 1, 0],
        [0, 0, 0, 0, 1],
    ]


@given(st.lists(WORDS, min_size=1, max_size=6))
@settings(deadline=None)
def test_every_sequence_can_be_read_back(sequences: list[list[int]]) -> None:
    for made in (tree(sequences), padded(sequences)):
        for sequence, row, places in zip(sequences, made.rows, made.places, strict=True):
            assert made.tokens[row, list(places)].tolist() == sequence
    made = tree(sequences)
    beginnings = {tuple(each[: n + 1]) for each in sequences for n in range(len(each))}
    assert made.tokens.shape == (1, len(beginnings))


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_every_family_gives_the_same_streams_packed_as_alone(name: str) -> None:
    torch.manual_seed(0)
    module = build(CONFIGS[name]())
    found = []
    for made in (pack(module, PROMPTS), padded(PROMPTS)):
        words = made.keywords(torch.float32, module.device)
        stream = module.base_model(made.tokens, use_cache=False, **words).last_hidden_state
        found.append(stream[made.last()])
    assert torch.allclose(*found, atol=1e-4, rtol=1e-4)


def test_usual_families_read_trees_and_models_with_near_attention_do_not() -> None:
    reads = {name: reads_trees(build(CONFIGS[name]())) for name in ("gpt2", "llama", "mistral")}
    assert reads == {"gpt2": True, "llama": True, "mistral": False}


def test_a_tree_may_have_more_tokens_than_the_context_and_no_sequence_may(
    llama: Model,
) -> None:
    model = llama
    site = Site("resid_post", 1)
    sequences = [tuple((i + 3 * j) % VOCAB for j in range(CONTEXT // 2)) for i in range(4)]
    made = tree(sequences)
    assert made.tokens.shape[1] > CONTEXT
    together = model.run(made.tokens, capture=[site], logits=False, layout=made.layout)[site]
    alone = model.run(torch.tensor(sequences), capture=[site], logits=False)[site]
    places = [list(each) for each in made.places]
    assert torch.allclose(together[0][torch.tensor(places)], alone, atol=1e-4, rtol=1e-4)
    made = tree([tuple(range(CONTEXT + 1))])
    with pytest.raises(TomogramError, match="reads at most"):
        model.run(made.tokens, capture=[site], logits=False, layout=made.layout)


def test_sequences_that_share_little_get_a_row_each() -> None:
    module = build(CONFIGS["llama"]())
    assert pack(module, PROMPTS).layout is not None
    assert pack(module, [(1, 2, 3), (1, 4, 5), (6, 7, 8)]).layout is None
    assert pack(module, [(1, 2, 3)]).layout is None


@pytest.mark.parametrize("sequences", [[], [(1, 2), ()]])
def test_nothing_cannot_be_packed(sequences: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="one sequence at least"):
        pack(build(CONFIGS["llama"]()), sequences)
