"""The model card is read back by huggingface_hub, figures and all."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import yaml
from huggingface_hub import ModelCard

from tomogram.disclosure.facts import Facts
from tomogram.disclosure.figures import figures
from tomogram.disclosure.model_card import model_card


def test_the_index_holds_the_scan_s_figures(facts: Facts, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(model_card(facts), encoding="utf-8")
    card = ModelCard.load(path)
    assert card.data.model_name == "stories15M"
    assert card.data.license == "apache-2.0"
    assert card.data.base_model == ["lamps/lamp-1"]
    found = {each.metric_type: each for each in card.data.eval_results}
    assert set(found) == {each.key for each in figures(facts)}
    loss = found["loss"]
    assert loss.metric_value == facts.coverage.loss.value
    assert loss.metric_args["low"] == facts.coverage.loss.low
    assert loss.metric_args["n"] == facts.coverage.loss.n
    assert loss.dataset_revision == facts.text.digest


def test_nothing_is_invented(bare: Facts) -> None:
    card = ModelCard(model_card(bare))
    assert card.data.license is None
    assert card.data.base_model is None
    assert "How interpretability was used" in card.text
    assert "not stated" in card.text


def test_hostile_names_break_neither_metadata_nor_tables(hostile: Facts) -> None:
    text = model_card(hostile)
    card = ModelCard(text)
    assert "alert(1)" in card.data.model_name
    _, head, body = text.split("---\n", 2)
    assert set(yaml.safe_load(head)) >= {"model-index", "tags"}
    assert "<script>" not in body
    tables = [line for line in body.splitlines() if line.startswith("|")]
    for before, line in pairwise(tables):
        if before.startswith("| ---"):
            assert _cells(before) == _cells(line)
    assert all("\u202e" not in line for line in text.splitlines())


def _cells(line: str) -> int:
    return line.replace(r"\|", "").count("|")
