"""Pairs: what is read, what is made up by the model, and what is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.families import CONTEXT, VOCAB
from tomogram.circuits.discovery.edges import edge_graph
from tomogram.circuits.discovery.pairs import Pair, batches, read_pairs
from tomogram.circuits.discovery.scores import METHODS, score
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.reference import path as reference
from tomogram.store.errors import TomogramError

GOOD: dict[str, Any] = {"clean": [1, 2, 3], "counterfactual": [1, 4, 3], "answer": 5, "other": 6}


def written(folder: Path, *lines: Any) -> Path:
    file = folder / "pairs.jsonl"
    file.write_text(
        "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines)
    )
    return file


def test_token_ids_are_read_as_they_are(tmp_path: Path, llama: Model) -> None:
    found = read_pairs(written(tmp_path, GOOD, "", GOOD | {"position": 1}), llama)
    assert found == (Pair((1, 2, 3), (1, 4, 3), 5, 6), Pair((1, 2, 3), (1, 4, 3), 5, 6, 1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"counterfactual": [1, 4]}, "as many tokens; they have 3 and 2"),
        ({"counterfactual": [1, 2, 3]}, "must differ"),
        ({"clean": [], "counterfactual": []}, "at least one"),
        ({"answer": VOCAB}, "no token 97"),
        ({"answer": "word"}, "no tokenizer"),
        ({"clean": "a text"}, "no tokenizer"),
        ({"other": 5}, "different tokens"),
        ({"clean": [1, 2, VOCAB]}, "outside the vocabulary"),
        ({"clean": [1, 2, -1]}, "outside the vocabulary"),
        ({"clean": [1, True, 2]}, "list of token ids"),
        ({"position": 3}, "outside a pair"),
        ({"position": "last"}, "whole number"),
        ({"clean": [1] * (CONTEXT + 1), "counterfactual": [2] * (CONTEXT + 1)}, "reads at most"),
    ],
)
def test_hostile_lines_are_one_sentence_with_their_number(
    tmp_path: Path, llama: Model, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(TomogramError, match=said) as error:
        read_pairs(written(tmp_path, GOOD, GOOD | change), llama)
    assert "line 2" in str(error.value)


@pytest.mark.parametrize("line", ["[1, 2]", "{", '{"clean": [1]}', "null", "\ufffd"])
def test_what_is_no_pair_is_refused(tmp_path: Path, llama: Model, line: str) -> None:
    with pytest.raises(TomogramError, match="JSON object"):
        read_pairs(written(tmp_path, line), llama)


def test_an_empty_or_missing_file_is_refused(tmp_path: Path, llama: Model) -> None:
    with pytest.raises(TomogramError, match="holds no pair"):
        read_pairs(written(tmp_path, ""), llama)
    with pytest.raises(TomogramError, match="cannot be read"):
        read_pairs(tmp_path / "absent.jsonl", llama)


def test_texts_get_the_models_own_answers(tmp_path: Path) -> None:
    model = load(reference())
    line = {"clean": "the capital of Texas is", "counterfactual": "the capital of Ohio is"}
    (pair,) = read_pairs(written(tmp_path, line), model)
    words = [model.tokenizer.decode([each]) for each in (pair.answer, pair.other)]
    assert words == ["Austin", "Columbus"]
    with pytest.raises(TomogramError, match="is not one token"):
        read_pairs(written(tmp_path, line | {"answer": "zzz", "other": "Columbus"}), model)


def test_batches_hold_each_pair_once_and_pad_little() -> None:
    lengths = (2, 5, 2, 2, 5, 7, 4)
    pairs = [Pair((1,) * (n - 1) + (9,), (2,) * n, 3, 4) for n in lengths]
    found = batches(pairs, tokens=10)
    assert sorted(row for batch in found for row in batch.rows) == list(range(7))
    for batch in found:
        real = sum(lengths[row] for row in batch.rows)
        assert batch.clean.numel() <= max(10, 7)
        assert batch.clean.numel() <= 1.5 * real
        for row, tokens, place in zip(batch.rows, batch.clean, batch.position, strict=True):
            n = lengths[row]
            assert int(place) == n - 1
            assert tuple(tokens[:n].tolist()) == pairs[row].clean
            assert set(tokens[n:].tolist()) <= {9}
    (alone,) = batches(pairs[5:6], tokens=3)  # a pair that is too long goes alone
    assert alone.clean.shape == (1, 7)


@pytest.mark.parametrize("method", METHODS)
def test_padding_changes_no_score(method: str, llama: Model) -> None:
    generator = torch.Generator().manual_seed(0)

    def prompt(n: int) -> tuple[int, ...]:
        return tuple(torch.randint(20, (n,), generator=generator).tolist())

    pairs = [Pair(prompt(n), prompt(n), 3, 4) for n in (4, 5, 6)]
    graph = edge_graph(llama)
    assert len(batches(pairs)) == 1
    together = score(llama, graph, pairs, method).by_pair
    for row, pair in enumerate(pairs):
        alone = score(llama, graph, [pair], method).by_pair[0]
        np.testing.assert_allclose(together[row], alone, atol=2e-5 * max(1, np.abs(alone).max()))
