from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tomogram.circuits.head_scores import head_scores, repeated_tokens
from tomogram.models.load import load, wrap
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError

CONTEXT, BLOCK = 16, 8


def looks_back(distances: tuple[int, int]) -> Model:
    """A model of one layer whose heads attend to the position so many places back."""
    width = 64
    config = GPT2Config(
        vocab_size=12,
        n_positions=CONTEXT,
        n_embd=width,
        n_layer=1,
        n_head=2,
        bos_token_id=None,
        eos_token_id=None,
    )
    module = GPT2LMHeadModel(config)
    block = module.transformer.h[0]
    with torch.no_grad():
        for parameter in (module.transformer.wte.weight, block.attn.c_attn.weight):
            parameter.zero_()
        # Position t has its own direction; a query t and a key t − distance get the same one.
        positions = torch.eye(width)[:CONTEXT]
        module.transformer.wpe.weight.copy_(positions)
        half = width // 2
        for head, distance in enumerate(distances):
            for t in range(CONTEXT):
                block.attn.c_attn.weight[t, head * half + t] = 10.0
                if t + distance < CONTEXT:
                    block.attn.c_attn.weight[t, width + head * half + t + distance] = 10.0
    return wrap(module, name="planted")


def test_planted_heads_are_recognised() -> None:
    previous, duplicate = head_scores(looks_back((1, BLOCK)), sequences=3)
    induction, none = head_scores(looks_back((BLOCK - 1, 3)), sequences=3)
    # The first token has none before it, so nothing is left out of the previous-token score.
    assert previous.previous.value == pytest.approx(1, abs=1e-3)
    assert duplicate.duplicate.value == pytest.approx(1, abs=1e-3)
    assert induction.induction.value == pytest.approx(1, abs=1e-3)
    for head, kinds in {
        previous: ("duplicate", "induction"),
        duplicate: ("previous", "induction"),
        induction: ("duplicate",),
        none: ("duplicate", "induction"),
    }.items():
        assert all(getattr(head, kind).value < 0.25 for kind in kinds)


def test_blocks_repeat_and_no_token_stands_twice_in_one() -> None:
    tokens, block = repeated_tokens(looks_back((1, 2)), sequences=5, seed=3)
    assert block == BLOCK
    assert tokens.shape == (5, CONTEXT)
    assert torch.equal(tokens[:, :block], tokens[:, block:])
    assert all(len(set(row.tolist())) == block for row in tokens)


def test_a_vocabulary_smaller_than_the_block_bounds_it() -> None:
    module = GPT2LMHeadModel(
        GPT2Config(vocab_size=5, n_positions=64, n_embd=8, n_layer=1, n_head=1)
    )
    assert repeated_tokens(wrap(module, name="small"), 1, 0)[1] == 5


def test_a_context_too_short_is_one_clear_sentence() -> None:
    module = GPT2LMHeadModel(GPT2Config(vocab_size=9, n_positions=3, n_embd=8, n_layer=1, n_head=1))
    with pytest.raises(TomogramError, match="context is 3 tokens"):
        head_scores(wrap(module, name="short"))


def test_on_stories15M(stories15M: Path) -> None:
    model = load(stories15M)
    tokens, block = repeated_tokens(model, 2, 0)
    assert tokens[0, 0] == model.tokenizer.bos_token_id
    assert not set(model.tokenizer.all_special_ids) & set(tokens[:, 1:].flatten().tolist())
    assert tokens.shape[1] == 2 * block + 1 <= model.context
    heads = head_scores(model, sequences=4)
    assert [(h.layer, h.head) for h in heads] == [(n, h) for n in range(6) for h in range(6)]
    best = max(heads, key=lambda head: head.previous.value)
    assert best.previous.low > 0.5
    assert heads == head_scores(model, sequences=4)
