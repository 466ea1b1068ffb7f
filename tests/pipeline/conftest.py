"""A reference model too small to have learned much, and a scan of it that takes seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tomogram.models.load import load
from tomogram.pipeline.plan import PLANS, Plan
from tomogram.pipeline.scan import scan
from tomogram.reference.recipe import REFERENCE
from tomogram.reference.train import save, untrained

TINY = replace(REFERENCE, name="tiny", layers=2, width=96)


@pytest.fixture(scope="session")
def tiny_plan() -> Plan:
    """A plan of a few thousand tokens."""
    return replace(
        PLANS["quick"],
        name="tiny",
        text_tokens=12_000,
        made_tokens=12_000,
        epochs=1,
        surveyed_tokens=6_000,
        finetuning=0.1,
        expansion=2,
        k=8,
        context=64,
        batch_tokens=512,
        buffer_tokens=4_096,
        measured_rows=8,
        concept_tokens=6_000,
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the microworld, as it is before training."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save(untrained(TINY), TINY, folder, torch.float32)
    return folder


@pytest.fixture(scope="session")
def tiny_scan(tiny_model: Path, tiny_plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished scan of the tiny model, to be read or copied and not to be written to."""
    folder = tmp_path_factory.mktemp("scans") / "tiny"
    scan(load(tiny_model), out=folder, plan=tiny_plan)
    return folder
