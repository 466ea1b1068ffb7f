from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tomogram.circuits.logit_lens import logit_lens
from tomogram.models.load import load, wrap
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText, pack


def tiny(vocab: int = 19, **changes: int) -> Model:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=12,
        initializer_range=0.5,
        **changes,
    )
    return wrap(LlamaForCausalLM(config), name="tiny")


def text_of(rows: int, context: int, seed: int = 0, vocab: int = 19) -> PackedText:
    rng = np.random.default_rng(seed)
    documents = np.cumsum(rng.random(rows * context) < 0.2).reshape(rows, context)
    return PackedText(rng.integers(0, vocab, (rows, context)), documents)


def test_agrees_with_a_plain_computation_over_all_tokens() -> None:
    model, text = tiny(), text_of(3, 12)
    points = logit_lens(model, text)
    assert [point.site for point in points] == ["resid_pre.0", "resid_post.0", "resid_post.1"]
    sites = [Site.parse(point.site) for point in points]
    tokens = torch.from_numpy(text.tokens.astype(np.int64))
    with torch.no_grad():
        run = model.run(tokens, capture=sites)
        final = torch.distributions.Categorical(logits=run.logits)
        for point, site in zip(points, sites, strict=True):
            early = torch.distributions.Categorical(logits=model.unembed(run[site]))
            kl = torch.distributions.kl_divergence(final, early)
            agreement = (early.logits.argmax(-1) == final.logits.argmax(-1)).double()
            true = early.probs[:, :-1].gather(-1, tokens[:, 1:, None])[..., 0]
            rows = {"kl": [], "agreement": [], "true_probability": [], "entropy": []}
            for row in range(3):
                inside = torch.from_numpy(np.diff(text.documents[row]) == 0)
                rows["kl"].append(kl[row, :-1][inside].mean())
                rows["agreement"].append(agreement[row, :-1][inside].mean())
                rows["true_probability"].append(true[row][inside].mean())
                rows["entropy"].append(early.entropy()[row, :-1][inside].mean())
            for name, values in rows.items():
                found = getattr(point, name)
                assert found.value == pytest.approx(float(np.mean(values)), abs=1e-5)
                assert found.n == 3


def test_the_last_depth_is_the_model_itself() -> None:
    last = logit_lens(tiny(), text_of(4, 12))[-1]
    assert last.kl.value == 0
    assert last.agreement.value == 1


def test_a_large_vocabulary_is_cut_into_pieces_without_a_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, text = tiny(), text_of(3, 12)
    whole = logit_lens(model, text)
    monkeypatch.setattr("tomogram.circuits.logit_lens._LOGIT_NUMBERS", 3 * 19)
    for a, b in zip(whole, logit_lens(model, text), strict=True):
        assert a.kl.value == pytest.approx(b.kl.value, rel=1e-5)
        assert a.agreement == b.agreement


def test_text_without_any_next_token_is_one_clear_sentence() -> None:
    text = PackedText(np.zeros((2, 4)), np.arange(8).reshape(2, 4))
    with pytest.raises(TomogramError, match="no document of two tokens"):
        logit_lens(tiny(), text)


def test_prediction_comes_into_focus_with_depth_on_stories15M(
    stories15M: Path, stories_text: Path
) -> None:
    model = load(stories15M)
    text = pack([stories_text.read_text()[:20_000]], model.tokenizer, 128, 1024)
    points = logit_lens(model, text, rows=6)
    kls = [point.kl.value for point in points]
    assert kls == sorted(kls, reverse=True)
    assert points[-1].true_probability.low > 0.3
    assert points[0].true_probability.high < 0.05
