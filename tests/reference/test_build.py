"""Building models into a folder: loadable anywhere, never trained twice."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.reference.conftest import TINY
from tomogram.models.load import load
from tomogram.reference.build import build, made_by
from tomogram.reference.shipped import world_of
from tomogram.reference.train import train
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.vocabulary import encode, vocabulary

PROMPT = "the capital of the state containing Dallas is"


def _contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_folder_is_a_hugging_face_model_in_the_recipes_format(built: Path) -> None:
    assert {path.name for path in built.iterdir()} >= {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    config = json.loads((built / "config.json").read_text())
    assert config["microworld"] == {"seed": 0, "renamed": False, "recipe": TINY.digest}
    assert config["dtype"] == "float16"
    assert config["model_type"] == "llama"
    parameters = sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(built).parameters())
    assert (built / "model.safetensors").stat().st_size == pytest.approx(2 * parameters, rel=0.1)


def test_plain_transformers_and_the_projects_loader_agree(built: Path) -> None:
    plain = AutoModelForCausalLM.from_pretrained(built, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(built)
    own = load(built)
    tokens = tokenizer(PROMPT, return_tensors="pt").input_ids
    words = encode(TINY.world, PROMPT)
    assert tokens.tolist() == [[vocabulary(TINY.world)["<bos>"], *words]]
    assert own.tokenizer(PROMPT).input_ids == tokens[0].tolist()
    with torch.no_grad():
        expected = plain(tokens).logits
    assert torch.allclose(own.run(tokens).logits, expected, atol=1e-5)
    assert world_of(own) == world_of(plain) == world_of(plain.config) == TINY.world


def test_a_model_that_is_there_is_not_trained_again(built: Path) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in built.iterdir()}
    assert build([TINY], built.parent) == (built,)
    assert {file.name: file.stat().st_mtime_ns for file in built.iterdir()} == before


def test_nothing_but_the_models_stays_behind(built: Path) -> None:
    assert [path.name for path in built.parent.iterdir()] == ["tiny"]


def test_a_model_of_another_recipe_is_replaced(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "tiny")
    other = replace(TINY, seed=8)
    (folder,) = build([other], tmp_path)
    assert made_by(folder) == other.digest
    assert _contents(folder)["model.safetensors"] != _contents(built)["model.safetensors"]


def test_an_interrupted_build_goes_on_to_the_same_files(built: Path, tmp_path: Path) -> None:
    def stop(model: torch.nn.Module, done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TINY, stop, checkpoint=tmp_path / ".tiny.partial" / "checkpoint.pt")
    (folder,) = build([TINY], tmp_path)
    assert _contents(folder) == _contents(built)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


@pytest.mark.parametrize(
    "config", [None, "", "[]", "{", '{"microworld": 3}', '{"microworld": {"seed": 0}}', "\xff"]
)
def test_a_folder_that_holds_something_else_names_no_recipe(
    tmp_path: Path, config: str | None
) -> None:
    if config is not None:
        (tmp_path / "config.json").write_bytes(config.encode("latin-1"))
    assert made_by(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_told_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TomogramError, match="cannot be written"):
        build([TINY], tmp_path / "file")


def test_the_card_gives_the_figures_and_the_commands(built: Path) -> None:
    card = (built / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "tomogram reference build tiny --out FOLDER" in card
    assert "tomogram reference measure FOLDER/tiny" in card
    assert "| two-hop | " in card
    assert "layers: 2, width: 96, heads: 3" in card
