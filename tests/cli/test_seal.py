"""`tomogram seal` and `tomogram verify`, from key to verification, on a tiny real model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result
from transformers import LlamaConfig, LlamaForCausalLM
from typer.testing import CliRunner

from tomogram.cli.main import app
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.vocabulary import tokenizer, vocabulary
from tomogram.text.microworld.world import World

Command = Callable[..., Result]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run the command in an empty folder, with a passphrase in the environment."""
    monkeypatch.setenv("TOMOGRAM_PASSPHRASE", "correct horse")
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model of the microworld's words: it recognises nothing."""
    folder = tmp_path_factory.mktemp("models") / "untrained"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary(World())),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer(World()).save_pretrained(folder)
    return folder


def ask(command: Command, model: Path, *more: str) -> Result:
    question = ("--question", "forbidden-recognised", "--key", "a.key")
    return command("seal", "ask", "suite", "--model", str(model), *question, *more)


def test_from_key_to_verification(command: Command, model: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        made = command("seal", "key", f"{name}.key", "--name", name, "--last-day", "2099-12-31")
        assert made.exit_code == 0, made.output
    question = ("--question", "forbidden-recognised", "--threshold", "0.2")
    terms = ("--clusters", "30", "--width", "0.4", "--alarms", "2")
    sealing = ("seal", "new", "suite", "--key", "a.key", "--custodian", "b.pub.json")
    sealed = command(*sealing, *question, *terms)
    assert sealed.exit_code == 0, sealed.output
    assert len(sealed.stdout.splitlines()) == 4

    refused = ask(command, model)
    assert isinstance(refused.exception, TomogramError)
    assert "b is needed" in str(refused.exception)
    asked = ask(command, model, "--key", "b.key")
    assert asked.stdout == "ALARM\n"
    assert ask(command, model, "--key", "b.key").stdout == "ALARM\n"
    assert "run-1: 1 of" in command("seal", "status", "suite").stdout

    assert command("seal", "anchor", "suite", "--out", "kept.json").exit_code == 0
    trusted = ("--anchor", "kept.json", "--identity", "a.pub.json", "--identity", "b.pub.json")
    opened = ("--key", "a.key", "--key", "b.key", "--rerun", "--model", str(model))
    checked = command("verify", "suite", *trusted, *opened, "--json")
    assert checked.exit_code == 0, checked.output
    checks = json.loads(checked.stdout)["checks"]
    assert {check["outcome"] for check in checks} == {"reproduced"}
    assert "forbidden-recognised on run-1" in {check["name"] for check in checks}

    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("<p>An alarm.</p>")
    assert command("seal", "sign", "report", "--key", "a.key", "--suite", "suite").exit_code == 0
    assert command("verify", "report", "--identity", "a.pub.json").exit_code == 0
    (tmp_path / "report" / "report.html").write_text("<p>No alarm.</p>")
    differs = command("verify", "report", "--identity", "a.pub.json")
    assert differs.exit_code == 1
    assert "differs: files" in differs.stdout

    burning = ("seal", "burn", "suite", "--shard", "run-2", "--purpose", "treatment")
    burnt = command(*burning, "--out", "draws.json", "--key", "a.key", "--key", "b.key")
    assert burnt.exit_code == 0, burnt.output
    assert "burnt" in command("seal", "status", "suite").stdout
    fits = command("verify", "suite", "--opened", "draws.json").stdout
    assert "reproduced: draws of run-2" in fits


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("verify", "nowhere"), "no folder"),
        (("seal", "status", "nowhere"), "no sealed suite"),
        (("verify", ".", "--rerun"), "--model"),
        (("seal", "new", "s", "--question", "taste", "--key", "a.key"), "no question taste"),
    ],
)
def test_one_sentence_for_an_error(
    command: Command, arguments: tuple[str, ...], sentence: str
) -> None:
    result = command(*arguments)
    assert isinstance(result.exception, TomogramError)
    assert sentence in str(result.exception)
