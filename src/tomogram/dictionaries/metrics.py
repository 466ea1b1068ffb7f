"""Metrics: one JSON line a training step, in step with the checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Metrics:
    """Writes `metrics.jsonl` of a folder; without a folder it writes nothing.

    After a resume at step `start`, the lines from that step on are written anew.
    """

    def __init__(self, folder: Path | None, start: int) -> None:
        self._file = None
        if folder is None:
            return
        path = folder / "metrics.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        kept = path.read_text().splitlines(keepends=True)[:start] if path.exists() else []
        self._file = path.open("w")
        self._file.writelines(kept)

    def write(self, line: Mapping[str, Any]) -> None:
        """Adds one step's line."""
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")

    def flush(self) -> None:
        """Makes sure that a process killed from now on leaves the lines so far."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Ends the writing."""
        if self._file is not None:
            self._file.close()
