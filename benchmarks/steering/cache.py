"""Where the benchmark keeps its dictionaries, so that they are trained once."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """A folder outside the repository, made if it is not there: below `$XDG_CACHE_HOME`, or
    `~/.cache`."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = root / "tomogram" / "benchmarks" / "steering"
    found.mkdir(parents=True, exist_ok=True)
    return found
