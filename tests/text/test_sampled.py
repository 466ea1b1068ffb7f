"""Sampled text follows the model's own predictions and depends on nothing but its arguments."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from tomogram.models.load import load, wrap
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError
from tomogram.text.sampled import sample

SIZES = {
    "vocab_size": 12,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "initializer_range": 0.5,
}


def tiny(family: str, **marks: int | None) -> Model:
    """A random model whose predictions differ much from token to token."""
    torch.manual_seed(0)
    marks = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None} | marks
    match family:
        case "llama":
            module = LlamaForCausalLM(LlamaConfig(**SIZES, **marks))
        case "mistral":
            module = MistralForCausalLM(MistralConfig(**SIZES, **marks, sliding_window=5))
        case "gemma2":
            module = Gemma2ForCausalLM(Gemma2Config(**SIZES, **marks, sliding_window=5))
        case "gpt2":
            sizes = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}
            config = GPT2Config(vocab_size=12, **sizes, **marks, initializer_range=0.5)
            module = GPT2LMHeadModel(config)
    return wrap(module, name=family)


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2", "gpt2"])
def test_every_token_is_drawn_from_the_models_prediction(family: str) -> None:
    model = tiny(family)
    text = sample(model, 600, 20, seed=3)
    tokens = torch.from_numpy(text.tokens.astype(np.int64))
    heap = model.run(tokens).logits.double().softmax(-1).cumsum(-1)
    for row in range(text.rows):
        chances = np.random.default_rng((3, row)).random(20)
        for place in range(1, 20):
            token = tokens[row, place]
            if tokens[row, place - 1] == 2:
                assert token == 1
                continue
            low = heap[row, place - 1, token - 1] if token else 0.0
            assert low - 1e-4 <= chances[place] <= heap[row, place - 1, token] + 1e-4


def test_frequencies_are_the_predicted_ones() -> None:
    model = tiny("llama")
    text = sample(model, 3000 * 2, 2, seed=0)
    predicted = model.run(torch.tensor([[1]])).logits[0, 0].double().softmax(-1).numpy()
    counts = np.bincount(text.tokens[:, 1], minlength=12)
    # Pearson's statistic has mean 11 and standard deviation 4.7 when the frequencies are right.
    assert ((counts - 3000 * predicted) ** 2 / (3000 * predicted)).sum() < 11 + 5 * 4.7


def test_documents_begin_at_openings() -> None:
    text = sample(tiny("llama"), 2000, 40, seed=0)
    flat = text.tokens.ravel()
    assert text.rows == 50
    assert (text.tokens[:, 0] == 1).all()
    assert ((flat[1:] == 1) | (flat[:-1] != 2) | (np.arange(1, len(flat)) % 40 == 0)).all()
    assert (np.diff(text.documents.ravel()) == (flat[1:] == 1)).all()
    assert text.n_documents > 50


def test_a_model_without_opening_token_begins_with_its_ending_one() -> None:
    text = sample(tiny("llama", bos_token_id=None), 100, 10, seed=0)
    assert (text.tokens[:, 0] == 2).all()


def test_a_row_depends_on_seed_and_number() -> None:
    model = tiny("llama")
    short, long, other = (
        sample(model, rows * 10, 10, seed=seed) for rows, seed in ((3, 0), (7, 0), (3, 1))
    )
    assert (short.tokens == long.tokens[:3]).all()
    assert (short.tokens != other.tokens).any()


def test_whole_rows() -> None:
    assert sample(tiny("llama"), 21, 10, seed=0).tokens.shape == (3, 10)
    assert sample(tiny("llama"), 1, 1, seed=0).tokens.tolist() == [[1]]


class TestCheckpoints:
    ARGUMENTS = (130 * 10, 10, 0)

    def test_finished_blocks_are_not_sampled_again(self, tmp_path: Path) -> None:
        model = tiny("llama")
        whole = sample(model, *self.ARGUMENTS, checkpoints=tmp_path)
        first, *rest = sorted(tmp_path.iterdir())
        assert rest
        marked = np.load(first)
        marked[0, 1:] = 7
        np.save(first, marked)
        again = sample(model, *self.ARGUMENTS, checkpoints=tmp_path)
        assert (again.tokens[0, 1:] == 7).all()
        assert (again.tokens[1:] == whole.tokens[1:]).all()

    @pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array"])
    def test_a_damaged_block_is_sampled_again(self, tmp_path: Path, content: bytes) -> None:
        model = tiny("llama")
        whole = sample(model, *self.ARGUMENTS, checkpoints=tmp_path)
        min(tmp_path.iterdir()).write_bytes(content)
        assert sample(model, *self.ARGUMENTS, checkpoints=tmp_path).digest == whole.digest

    def test_killed_and_resumed(self, tmp_path: Path, root: Path) -> None:
        program = (
            "import sys; from pathlib import Path\n"
            "from tests.text.test_sampled import sample, tiny\n"
            "sample(tiny('llama'), 128 * 16 * 12, 16, 0, checkpoints=Path(sys.argv[1]))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
        )
        while not any(tmp_path.glob("*.npy")) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert 0 < len(list(tmp_path.glob("*.npy"))) < 12
        model = tiny("llama")
        resumed = sample(model, 128 * 16 * 12, 16, 0, checkpoints=tmp_path)
        assert resumed.digest == sample(model, 128 * 16 * 12, 16, 0).digest


class TestRefusals:
    @pytest.mark.parametrize("context", [0, 65])
    def test_context(self, context: int) -> None:
        with pytest.raises(TomogramError, match="between 1 and 64"):
            sample(tiny("llama"), 100, context, seed=0)

    def test_no_tokens(self) -> None:
        with pytest.raises(TomogramError, match="At least one token"):
            sample(tiny("llama"), 0, 10, seed=0)

    def test_no_mark(self) -> None:
        model = tiny("llama", bos_token_id=None, eos_token_id=None)
        with pytest.raises(TomogramError, match="--text"):
            sample(model, 100, 10, seed=0)

    def test_predictions_that_are_not_finite(self) -> None:
        model = tiny("llama")
        model.module.lm_head.weight[0, 0] = float("nan")
        with pytest.raises(TomogramError, match="not finite"):
            sample(model, 100, 10, seed=0)


def test_stories(stories15M: Path) -> None:
    model = load(stories15M)
    text = sample(model, 16 * 48, 48, seed=0)
    logits = model.run(torch.from_numpy(text.tokens.astype(np.int64))).logits[:, :-1]
    wanted = torch.from_numpy(text.tokens[:, 1:].astype(np.int64))
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())
    # Text of temperature 1 costs the model about its own entropy; random tokens would cost 10.
    assert loss < 3
    assert "once" in model.tokenizer.decode(text.tokens.ravel()).lower()
