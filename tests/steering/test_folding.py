"""Saved steered models, loaded by transformers alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, MistralConfig, Qwen2Config

from tests.models.families import CONFIGS, LLAMA_LIKE, VOCAB, WIDTH, build
from tests.steering.conftest import dictionary
from tomogram.models.load import load, wrap
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.edits import ablate, add
from tomogram.steering.folding import save_steered
from tomogram.steering.positions import generated
from tomogram.steering.steered import steered
from tomogram.steering.targets import Direction, Feature
from tomogram.store.errors import TomogramError

IDS = torch.randint(VOCAB, (2, 9), generator=torch.Generator().manual_seed(4))
MORE = {
    "mistral-whole": lambda: MistralConfig(**LLAMA_LIKE, sliding_window=None),
    "qwen2-whole": lambda: Qwen2Config(**LLAMA_LIKE, use_sliding_window=False),
}


def tiny(family: str) -> Model:
    return wrap(build((CONFIGS | MORE)[family]()), name=family)


def push(site: str, strength: float = 4.0):  # type: ignore[no-untyped-def]
    torch.manual_seed(8)
    return add(Direction(Site.parse(site), torch.randn(WIDTH)), strength)


@pytest.mark.parametrize(
    ("family", "site"),
    [
        ("llama", "resid_post.1"),
        ("llama", "attn_out.2"),
        ("llama", "resid_pre.0"),
        ("llama-tied", "resid_pre.2"),
        ("gpt2", "resid_post.0"),
        ("gpt2", "resid_pre.0"),
        ("gpt2", "resid_mid.1"),
        ("gpt-neox-parallel", "mlp_out.1"),
        ("gpt-neox-sequential", "resid_post.2"),
        ("gpt-neo", "resid_post.1"),
        ("opt", "resid_post.1"),
        ("opt-narrow-embedding", "resid_pre.0"),
        ("qwen3", "attn_out.1"),
        ("mistral-whole", "resid_post.1"),
        ("qwen2-whole", "resid_post.1"),
        ("qwen2-whole", "attn_out.0"),
    ],
)
def test_transformers_alone_says_what_the_steered_model_says(
    family: str, site: str, tmp_path: Path
) -> None:
    model = tiny(family)
    edits = [push(site), push(site, -1.5)]
    with steered(model, *edits):
        expected = model.run(IDS).logits
    plain = model.run(IDS).logits
    folder = save_steered(model, edits, tmp_path / "saved")
    loaded = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        got = loaded(input_ids=IDS).logits
    torch.testing.assert_close(got, expected, atol=2e-4, rtol=1e-4)
    assert float((expected - plain).abs().max()) > 0.05
    # The model itself is as it was, and ours reads what was saved.
    assert torch.equal(model.run(IDS).logits, plain)
    torch.testing.assert_close(load(folder).run(IDS).logits, expected, atol=2e-4, rtol=1e-4)
    assert json.loads((folder / "steering.json").read_text())["pushes"][0]["site"] == site


@pytest.mark.parametrize(
    ("family", "site", "reason"),
    [
        ("gemma2", "resid_post.1", "norm stands between the MLP"),
        ("olmo2", "attn_out.1", "norm stands between the attention"),
        ("mixtral", "resid_post.1", "mixture of experts"),
        ("qwen3", "resid_post.1", "has no bias, and no switch"),
        ("phi3", "resid_post.0", "has no bias, and no switch"),
        ("mistral", "resid_post.1", "has no bias, and no switch"),
        ("llama-tied", "resid_pre.0", "embedding is its unembedding"),
        ("llama", "mlp_in.1", "no place of the residual stream"),
    ],
)
def test_a_family_without_a_place_is_refused_and_nothing_is_left(
    family: str, site: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(TomogramError, match=reason):
        save_steered(tiny(family), [push(site)], tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_what_depends_on_the_text_is_refused(model: Model, tmp_path: Path) -> None:
    for edits in (
        [ablate(Feature(dictionary(), 1))],
        [add(Feature(dictionary(), 1), 1, generated)],
    ):
        with pytest.raises(TomogramError, match="added at every token"):
            save_steered(model, edits, tmp_path / "saved")
    with pytest.raises(TomogramError, match="no edit"):
        save_steered(model, [], tmp_path / "saved")
