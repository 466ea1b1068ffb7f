"""A tomogram's folder against its own manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.example import build_manifest
from tomogram.custody.evidence import verify_tomogram
from tomogram.custody.verify import Outcome
from tomogram.store.digest import digest_bytes
from tomogram.store.schema import manifest_bytes


@pytest.fixture
def tomogram(tmp_path: Path) -> Path:
    """A manifest that lists two files, and the files."""
    contents = {"text/packed.safetensors": b"text", "features/features.parquet": b"PAR1"}
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(content)
    files = {name: digest_bytes(content) for name, content in contents.items()}
    manifest = build_manifest().model_copy(update={"files": files})
    (tmp_path / "tomogram.json").write_bytes(manifest_bytes(manifest))
    return tmp_path


def outcomes(folder: Path) -> list[Outcome]:
    return [check.outcome for check in verify_tomogram(folder)]


def test_an_honest_tomogram_and_a_damaged_one(tomogram: Path) -> None:
    assert outcomes(tomogram) == [Outcome.REPRODUCED, Outcome.REPRODUCED]
    (tomogram / "features" / "features.parquet").write_bytes(b"PAR2")
    assert outcomes(tomogram) == [Outcome.REPRODUCED, Outcome.DIFFERS]


def test_a_missing_file_a_broken_manifest_and_none(tomogram: Path) -> None:
    (tomogram / "text" / "packed.safetensors").unlink()
    assert outcomes(tomogram) == [Outcome.REPRODUCED, Outcome.DIFFERS]
    (tomogram / "tomogram.json").write_text("{}")
    assert outcomes(tomogram) == [Outcome.DIFFERS]
    (tomogram / "tomogram.json").unlink()
    assert outcomes(tomogram) == [Outcome.UNCHECKED]
