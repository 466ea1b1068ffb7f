"""A stranger's rerun: honest figures come back, and figures that were written do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tomogram.custody.verify import Check, Outcome
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.pipeline.rerun.rerun import rerun
from tomogram.reference import path
from tomogram.store.canonical import readable_json


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return load(tiny_model)


@pytest.fixture(scope="module")
def honest(tiny_scan: Path, model: Model) -> list[Check]:
    return rerun(tiny_scan, model, seed=1, sample=3)


def test_an_honest_tomogram_is_reproduced(honest: list[Check]) -> None:
    assert [c for c in honest if c.outcome is Outcome.DIFFERS] == []
    assert {"model", "parameters", "loss of the model"} <= {check.name for check in honest}
    kinds = ("score of head", "true token at", "unexplained variance", "rise in loss", "of unit")
    for kind in kinds:
        assert any(kind in check.name for check in honest), kind
    reproduced = sum(check.outcome is Outcome.REPRODUCED for check in honest)
    assert reproduced >= 0.8 * len(honest)


def test_the_seed_decides_the_sample(tiny_scan: Path, model: Model, honest: list[Check]) -> None:
    def names(seed: int) -> list[str]:
        return [check.name for check in rerun(tiny_scan, model, seed=seed, sample=3)]

    assert names(1) == [check.name for check in honest]
    assert names(2) != names(1)


Alteration = Callable[[dict[str, Any]], None]


def _loss(manifest: dict[str, Any]) -> None:
    manifest["coverage"]["loss"]["value"] *= 0.999


def _variance(manifest: dict[str, Any]) -> None:
    for each in manifest["dictionaries"]:
        each["quality"]["fvu"] *= 0.98


def _heads(manifest: dict[str, Any]) -> None:
    for head in manifest["anatomy"]["heads"]:
        for kind in ("induction", "previous", "duplicate"):
            head[kind]["high"] += 1
            head[kind]["value"] += 0.01


@pytest.mark.parametrize(
    ("alter", "where"),
    [
        (_loss, "loss of the model"),
        (_variance, "unexplained variance"),
        (_heads, "score of head"),
    ],
)
def test_a_figure_that_was_written_differs(
    tiny_scan: Path, model: Model, tmp_path: Path, alter: Alteration, where: str
) -> None:
    copy = tmp_path / "forged"
    shutil.copytree(tiny_scan, copy)
    manifest = json.loads((copy / "tomogram.json").read_text())
    alter(manifest)
    (copy / "tomogram.json").write_text(readable_json(manifest))
    checks = rerun(copy, model, seed=1, sample=2)
    wrong = [check.name for check in checks if check.outcome is Outcome.DIFFERS]
    assert wrong
    assert all(where in name for name in wrong)


def test_another_model_measures_nothing(tiny_scan: Path) -> None:
    (check,) = rerun(tiny_scan, path(), seed=1)
    assert check.outcome is Outcome.UNCHECKED
    assert "nothing was measured" in check.reason


def test_dictionaries_that_are_not_there_are_said_to_be_missing(
    tiny_scan: Path, model: Model, tmp_path: Path
) -> None:
    copy = tmp_path / "without"
    shutil.copytree(tiny_scan, copy)
    shutil.rmtree(copy / "dictionaries")
    checks = {check.name: check for check in rerun(copy, model, seed=1, sample=2)}
    assert checks["dictionaries"].outcome is Outcome.UNCHECKED
    assert checks["loss of the model"].outcome is Outcome.REPRODUCED
    assert all("neurons" in name for name in checks if "of unit" in name)
