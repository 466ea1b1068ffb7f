"""Fixtures shared by all tests. Nothing here reaches the network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

if not torch.cuda.is_available():
    # Triton, where it is installed, then interprets its kernels; it looks at this when imported.
    os.environ.setdefault("TRITON_INTERPRET", "1")

# Time limits of an example would fail on a machine that does other work; in CI examples repeat.
settings.register_profile(
    "tomogram",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("tomogram")

# Set before any test imports transformers: models come from files only.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


def _existing(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.relative_to(ROOT.parent)} is not beside the repository")
    return path


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared models and texts beside the repository; skips where it is absent."""
    return _existing(SHARED)


@pytest.fixture(scope="session")
def stories15M() -> Path:
    """Folder of stories15M, a Llama of 15 million parameters; skips where it is absent."""
    return _existing(SHARED / "models" / "stories15M")


@pytest.fixture(scope="session")
def stories_text() -> Path:
    """A text sampled from stories15M, stories ended by `<|endoftext|>`; skips where absent."""
    return _existing(SHARED / "text" / "stories.txt")
