"""Keys and a sealed suite of lamps, made anew for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.custody.lamps import Darkness, Hands
from tomogram.custody import suite as suites
from tomogram.custody.budget import Terms
from tomogram.custody.keys import Key, new_key

TERMS = Terms(clusters=200, width=0.16, delta=0.05, alarms=2, noise=0.05)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture(scope="session")
def auditor() -> Key:
    return new_key("auditor", "2027-12-31")


@pytest.fixture(scope="session")
def lab() -> Key:
    return new_key("lab", "2027-12-31")


@pytest.fixture
def suite(tmp_path: Path, auditor: Key, clock: Hands) -> Path:
    """A suite that the auditor alone can ask."""
    folder = tmp_path / "suite"
    suites.new(folder, "lamps", {Darkness(): 0.5}, TERMS, key=auditor, clock=clock)
    return folder


@pytest.fixture
def shared_suite(tmp_path: Path, auditor: Key, lab: Key, clock: Hands) -> Path:
    """A suite that takes the auditor's key and the lab's."""
    folder = tmp_path / "shared-suite"
    others = [lab.identity]
    suites.new(folder, "lamps", {Darkness(): 0.5}, TERMS, key=auditor, others=others, clock=clock)
    return folder
