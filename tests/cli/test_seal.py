"""`tomogram seal` and `tomogram verify`, from key to verification, on a tiny real model."""

from __future__ import annotations

import json
import shutil
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
    told = command("verify", "report", "--identity", "a.pub.json", "--suite", "suite")
    assert told.exit_code == 0
    assert "reproduced: use of suite" in told.stdout
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


def test_two_custodians_on_two_machines(command: Command, model: Path, tmp_path: Path) -> None:
    """`theirs` is a copy without shards, which sends consents and follows the ledger."""
    for name in ("a", "b"):
        command("seal", "key", f"{name}.key", "--name", name, "--last-day", "2099-12-31")
    terms = ("--clusters", "30", "--width", "0.4", "--alarms", "2", "--threshold", "0.2")
    sealing = ("seal", "new", "suite", "--key", "a.key", "--custodian", "b.pub.json")
    command(*sealing, "--question", "forbidden-recognised", *terms)
    shutil.copytree(tmp_path / "suite", tmp_path / "theirs" / "suite")
    shutil.rmtree(tmp_path / "theirs" / "suite" / "shards")
    copied = command("verify", "theirs/suite")
    assert copied.exit_code == 0
    assert "could not be checked: file of run-1" in copied.stdout

    agreeing = ("seal", "consent", "theirs/suite", "--key", "b.key", "--to", "a.pub.json")
    about = ("--question", "forbidden-recognised", "--model", str(model), "--out", "consent.json")
    agreed = command(*agreeing, *about)
    assert agreed.exit_code == 0, agreed.output
    assert "lets a ask until" in agreed.stdout
    assert ask(command, model, "--consent", "consent.json").stdout == "ALARM\n"
    followed = command("seal", "follow", "theirs/suite", "suite/ledger.jsonl")
    assert followed.stdout.startswith("2 new rows")

    again = ("--key", "a.key", "--consent", "consent.json", "--rerun", "--model", str(model))
    checked = command("verify", "suite", *again)
    assert "reproduced: forbidden-recognised on run-1" in checked.stdout, checked.output
    assert "could not be checked: draws of release" in checked.stdout

    burning = ("--burn", "treatment", "--shard", "run-2", "--out", "burn.json")
    assert command(*agreeing, *burning).exit_code == 0
    opening = ("seal", "burn", "suite", "--shard", "run-2", "--purpose", "treatment")
    burnt = command(*opening, "--out", "draws.json", "--key", "a.key", "--consent", "burn.json")
    assert burnt.exit_code == 0, burnt.output
    for wrong, sentence in (
        ((*agreeing, "--out", "c.json"), "--question"),
        ((*agreeing, "--out", "c.json", "--question", "q"), "--digest"),
        ((*agreeing, "--out", "c.json", "--question", "q", "--digest", "0" * 64), "no question q"),
    ):
        assert sentence in str(command(*wrong).exception)


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
