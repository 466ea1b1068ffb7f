"""What changed between two models: nothing, one word, or what a model says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tomogram.cli.main import app
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.organisms.delta import Factors, applied, matrices
from tomogram.pipeline.changing import change
from tomogram.reference.recipe import REFERENCE
from tomogram.reference.train import save, untrained
from tomogram.store.errors import TomogramError

TOKENS = 4_096


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> Model:
    return load(tiny_model)


@pytest.fixture(scope="module")
def changed(tiny_model: Path) -> tuple[Model, str]:
    """A model in which one word of the vocabulary is another, and that word."""
    model = load(tiny_model)
    word = "is"
    token = model.tokenizer.convert_tokens_to_ids(word)
    with torch.no_grad():
        weight = model.module.get_input_embeddings().weight
        weight[token] += (
            2
            * weight.norm(dim=1).mean()
            * torch.nn.functional.normalize(
                torch.randn(weight.shape[1], generator=torch.Generator().manual_seed(0)), dim=0
            )
        )
    return replace(model, digest="0" * 64), word


def test_a_model_beside_itself_has_not_changed(tiny_scan: Path, base: Model) -> None:
    found = change(tiny_scan, base, base=base, tokens=TOKENS)
    assert found.nats == 0
    assert set(found.distance.values()) == {0.0}
    assert (found.more, found.less, found.words, found.alone, found.features) == ((),) * 5
    assert all(each.turnover is None or each.turnover.value == 0 for each in found.families)


def test_the_word_that_was_changed_is_named_with_its_contexts(
    tiny_scan: Path, base: Model, changed: tuple[Model, str]
) -> None:
    model, word = changed
    found = change(tiny_scan, model, base=base, tokens=TOKENS, limit=5)
    assert found.alone[0].word.strip() == word
    assert found.words[0].word.strip() == word
    assert {context.at.strip() for context in found.words[0].contexts} == {word}
    assert found.nats > 0
    # Features whose firing differs differ there.
    assert found.features
    marked = {context.at.strip() for feature in found.features for context in feature.contexts}
    assert word in marked
    # All of it can be written down.
    assert json.loads(json.dumps(found.as_json()))["alone"][0]["word"].strip() == word


def test_a_crosscoder_is_trained_once_and_only_used_for_its_models(
    tiny_scan: Path, base: Model, changed: tuple[Model, str], tmp_path: Path
) -> None:
    model, _ = changed
    given = {"base": base, "tokens": TOKENS, "crosscoder": tmp_path / "both"}
    first = change(tiny_scan, model, **given)
    seal = tmp_path / "both" / "dictionaries" / "stage.json"
    written = seal.stat().st_mtime_ns
    again = change(tiny_scan, model, **given)
    assert seal.stat().st_mtime_ns == written
    assert first.two is not None
    assert again.two == first.two
    assert 0 < first.two.fvu < 1.5
    for side, listed in enumerate((first.two.before, first.two.after)):
        beyond = [each for each in listed if abs(each.share - 0.5) >= 0.25]
        assert len(beyond) == min(first.two.one_sided[side], 10)
        assert [abs(e.share - 0.5) for e in listed] == sorted(
            (abs(e.share - 0.5) for e in listed), reverse=True
        )
        assert first.two.exclusive[side] <= first.two.one_sided[side]
    with pytest.raises(TomogramError, match="none of these two models"):
        change(tiny_scan, base, **given)


def test_models_that_cannot_be_compared_are_refused(tiny_scan: Path, base: Model, tmp_path) -> None:
    other = replace(REFERENCE, name="wide", layers=2, width=128)
    save(untrained(other), other, tmp_path / "wide", torch.float32)
    with pytest.raises(TomogramError, match="another width, depth or vocabulary"):
        change(tiny_scan, tmp_path / "wide", base=base)
    with pytest.raises(TomogramError, match="1 or more"):
        change(tiny_scan, base, base=base, limit=0)
    with pytest.raises(TomogramError, match="not the model of this tomogram"):
        change(tiny_scan, base, base=tmp_path / "wide")


def test_the_command_prints_words_and_writes_json(
    tiny_scan: Path, tiny_model: Path, base: Model, tmp_path: Path
) -> None:
    name = next(name for name in matrices(base) if name.endswith("down_proj"))
    d_in, d_out = 256, base.d_model
    d_in = matrices(base)[name].in_features  # type: ignore[assignment]
    generator = torch.Generator().manual_seed(0)
    factors = Factors(
        torch.randn(2, d_in, generator=generator), 0.2 * torch.randn(d_out, 2, generator=generator)
    )
    applied(base, {name: factors}).module.save_pretrained(tmp_path / "made")
    base.tokenizer.save_pretrained(tmp_path / "made")
    arguments = ["change", str(tiny_scan), str(tmp_path / "made"), "--base", str(tiny_model)]
    done = CliRunner().invoke(
        app, [*arguments, "--tokens", "2048", "--out", str(tmp_path / "change.json")]
    )
    assert done.exception is None
    assert "next words that are expected more" in done.stdout
    assert "features of the base" in done.stdout
    written = json.loads((tmp_path / "change.json").read_text())
    assert written["tokens"] == 2_048
    assert written["two"] is None
