"""The example tomogram as fixtures."""

from __future__ import annotations

import pytest

from tests.chromium import browser
from tests.report.example import build_evidence, build_manifest
from tomogram.report.evidence import Evidence
from tomogram.report.page import render
from tomogram.store.schema import Manifest

__all__ = ["browser"]  # a fixture that stands elsewhere


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    """A scan with ground truth."""
    return build_manifest()


@pytest.fixture(scope="session")
def evidence(manifest: Manifest) -> Evidence:
    """Its gallery."""
    return build_evidence(manifest)


@pytest.fixture(scope="session")
def page(manifest: Manifest, evidence: Evidence) -> str:
    """Its page."""
    return render(manifest, evidence)
