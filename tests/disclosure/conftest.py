"""What is disclosed, and a browser to look at it: fixtures that stand elsewhere."""

from __future__ import annotations

from tests.chromium import browser
from tests.disclosed import (
    auditor,
    bare,
    facts,
    findings,
    folder,
    hostile,
    made,
    manifest,
    statement,
    suite,
)

__all__ = [
    "auditor",
    "bare",
    "browser",
    "facts",
    "findings",
    "folder",
    "hostile",
    "made",
    "manifest",
    "statement",
    "suite",
]
