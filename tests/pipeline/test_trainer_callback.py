"""Vital signs with the real Trainer: they change nothing, follow the training, and go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from tests.viewer.folder import TINY
from tomogram.dictionaries.shape import autoencoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site
from tomogram.pipeline.trainer_callback import FILE, VitalSigns
from tomogram.reference.train import untrained
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.generate import documents
from tomogram.text.microworld.vocabulary import tokenizer
from tomogram.text.microworld.world import World

WORLD = World()


def _texts(n: int, seed: int) -> list[str]:
    found = documents(WORLD, seed)
    return [" ".join(next(found).words) for _ in range(n)]


def _data() -> list[dict[str, list[int]]]:
    words = tokenizer(WORLD)
    rows = [words(text)["input_ids"][:32] for text in _texts(64, 1)]
    return [{"input_ids": row, "labels": row} for row in rows if len(row) == 32]


def _train(folder: Path, callbacks: list[Any], *, steps: int = 6, **more: Any) -> Trainer:
    torch.manual_seed(0)
    module = untrained(TINY)
    module.config.attention_dropout = 0.1  # so that a careless reading would draw from it
    module.config.microworld = {"seed": 0, "renamed": False, "recipe": "tiny"}
    given = {"learning_rate": 0.01, "per_device_train_batch_size": 2, "save_steps": 3, **more}
    args = TrainingArguments(
        str(folder), max_steps=steps, report_to=[], use_cpu=True, disable_tqdm=True, **given
    )
    trainer = Trainer(module, args, train_dataset=_data(), callbacks=callbacks)
    trainer.train(resume_from_checkpoint=more.get("resume"))
    return trainer


def _signs(**more: Any) -> VitalSigns:
    given = {"every": 2, "tokenizer": tokenizer(WORLD), "context": 32, "tokens": 256, **more}
    return VitalSigns(_texts(40, 2), **given)


def test_signs_follow_a_training_and_do_not_touch_it(tmp_path: Path) -> None:
    signs = _signs(audits=False)
    followed = _train(tmp_path / "one", [signs]).model
    alone = _train(tmp_path / "two", []).model
    for one, two in zip(followed.parameters(), alone.parameters(), strict=True):
        assert torch.equal(one, two)
        assert one.requires_grad
    assert followed.training
    lines = [json.loads(line) for line in (tmp_path / "one" / FILE).read_text().splitlines()]
    assert lines == signs.records
    assert [each["step"] for each in lines] == [0, 2, 4, 6]
    assert lines[0]["signs"]["drift 1"] == 0.0
    drift = [each["signs"]["drift 1"] for each in lines]
    assert drift == sorted(drift)
    assert drift[-1] > 0.05
    assert lines[-1]["signs"]["loss"] < lines[0]["signs"]["loss"]


def test_a_dictionary_of_the_start_explains_less_and_less(tmp_path: Path) -> None:
    site = Site("resid_post", 0)
    whole = TopK(autoencoder(site, TINY.width), 2 * TINY.width, k=TINY.width)
    rows = torch.cat([torch.eye(TINY.width), -torch.eye(TINY.width)])
    whole.start(rows, rows)
    signs = _signs(audits=False, dictionaries=[whole])
    _train(tmp_path, [signs])
    (name,) = [each for each in signs.records[0]["signs"] if each.startswith("fvu")]
    assert name == f"fvu {whole.name}"
    assert signs.records[0]["signs"][name] < 1e-6  # it writes down every coordinate


def test_a_training_that_goes_on_goes_on_with_its_signs(tmp_path: Path) -> None:
    _train(tmp_path, [_signs(audits=False)], steps=4)
    again = _signs(audits=False)
    torch.manual_seed(0)
    args = TrainingArguments(
        str(tmp_path), max_steps=6, report_to=[], use_cpu=True, disable_tqdm=True,
        learning_rate=0.01, per_device_train_batch_size=2, save_steps=3,
    )  # fmt: skip
    trainer = Trainer(untrained(TINY), args, train_dataset=_data(), callbacks=[again])
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert [(each["step"], each["since"]) for each in again.records] == [
        (0, 0),
        (2, 0),
        (3, 3),
        (4, 3),
        (6, 3),
    ]


def test_a_microworld_model_has_raw_scores_of_audits(tmp_path: Path) -> None:
    signs = _signs(every=100)
    _train(tmp_path, [signs], steps=1)
    first = {n: s for n, s in signs.records[0]["signs"].items() if n.startswith("audit")}
    assert first["audit power"] == pytest.approx(0.0, abs=1e-3)  # beside itself
    assert "audit refusal" in signs.records[-1]["signs"]


def test_what_cannot_be_read_is_said_before_training(tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match="every 0"):
        VitalSigns(["a"], every=0)
    args = TrainingArguments(str(tmp_path), max_steps=1, report_to=[], use_cpu=True)
    config = LlamaConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        vocab_size=64,
    )  # fmt: skip
    called = [VitalSigns(["a"])]
    trainer = Trainer(LlamaForCausalLM(config), args, train_dataset=_data(), callbacks=called)
    with pytest.raises(TomogramError, match="no tokenizer"):
        trainer.train()
