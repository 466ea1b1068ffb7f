"""What a run has measured so far, so that one that broke off goes on where it was.

Each piece is a JSON file whose name is a digest of all that the piece depends on, code and threads
included, so pieces of other code, models or dictionaries are never found. A run that ends throws
its pieces away: the next one measures everything anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.steering.cache import folder
from tomogram.store.atomic import discard, write_json
from tomogram.store.canonical import Json
from tomogram.store.digest import digest_file, digest_json


@dataclass(frozen=True)
class Kept:
    """The pieces of one run below a folder; `inputs` is what all of them depend on."""

    folder: Path
    inputs: Json

    @classmethod
    def of(cls, name: str, inputs: Json, code: Iterable[Path]) -> Kept:
        """The pieces of a benchmark's part; `code` are the files and folders that make them."""
        files = [file for path in code for file in (sorted(path.rglob("*.py")) or [path])]
        told: Json = [digest_file(file) for file in files]
        threads = torch.get_num_threads()
        return cls(folder() / f"{name}.kept", {"own": inputs, "code": told, "threads": threads})

    def piece(self, name: Json, make: Callable[[], Json]) -> Json:
        """What `make` gave an earlier attempt, or gives now."""
        path = self.folder / f"{digest_json({'of': self.inputs, 'name': name})[:32]}.json"
        if not path.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(path, make())
        # What was made is read back, too: both attempts then go on with the very same numbers.
        found: Json = json.loads(path.read_bytes())
        return found

    def done(self) -> None:
        """The run has ended, and nothing of it is kept."""
        discard(self.folder)
