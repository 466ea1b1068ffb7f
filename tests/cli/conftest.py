"""A tomogram and a suite to disclose: fixtures that stand elsewhere."""

from __future__ import annotations

from tests.disclosed import auditor, findings, folder, made, manifest, suite

__all__ = ["auditor", "findings", "folder", "made", "manifest", "suite"]
