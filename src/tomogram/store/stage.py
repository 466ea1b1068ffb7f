"""A stage of a scan: skipped when it is done, resumed when it was interrupted, published at once.

A stage called `text` below a folder lives in two places:

    text/            its results, stage.json and timing.json; appears whole, by one rename
    .text.partial/   while it runs: inputs.json, checkpoints/ and results/

It is safe to kill the process at any moment. Checkpoints come back only to a stage whose name,
version and inputs are the same; everything else starts empty.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tomogram.store.atomic import discard, explained, flush_folder, swap_in, write_json
from tomogram.store.canonical import Json
from tomogram.store.digest import digest_file, digest_json, files_below

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Work:
    """Where the body of a stage writes.

    results: empty at every attempt; what lies in it at the end is published.
    checkpoints: as an interrupted attempt with the same inputs left it; never published. Files in
        it should be written with `store.atomic`, because a kill may come at any moment.
    """

    results: Path
    checkpoints: Path


@dataclass(frozen=True)
class Stage:
    """One step of a scan with the digest of everything it reads.

    folder: the tomogram's folder.
    name: the stage's name and its folder's; lower-case letters, digits and underscores.
    version: raised whenever the code computes something else from the same inputs.
    inputs: everything the results depend on (digests of what is read, settings, seeds, number of
        threads), as a JSON value. No path, no time, no machine.
    """

    folder: Path
    name: str
    version: int
    inputs: Json

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name for a stage")

    @property
    def digest(self) -> str:
        """Digest of name, version and inputs; what a later stage names as its input."""
        return digest_json({"name": self.name, "version": self.version, "inputs": self.inputs})

    @property
    def path(self) -> Path:
        """Folder of the published results."""
        return self.folder / self.name

    def done(self) -> bool:
        """Whether results for exactly these inputs are published and no file of them is missing
        or of another size."""
        return self._stands(self.path)

    def files(self) -> dict[str, str]:
        """SHA-256 of every published file by its path below the tomogram's folder.

        Only for a stage that is done. `timing.json` is not among them: it differs from run to run.
        """
        listed = {name: file["sha256"] for name, file in _read(self._seal_path)["files"].items()}
        return {f"{self.name}/{name}": sha for name, sha in sorted(listed.items())} | {
            f"{self.name}/stage.json": digest_file(self._seal_path)
        }

    def seconds(self) -> float:
        """Wall time of the attempt that finished. Only for a stage that is done."""
        return float(_read(self.path / "timing.json")["seconds"])

    def attempts(self) -> int:
        """How often the stage was begun until it finished. Only for a stage that is done."""
        return int(_read(self.path / "timing.json")["attempts"])

    def run(self, body: Callable[[Work], None]) -> Path:
        """Call `body` unless the stage is done, publish its results and return their folder.

        The caller holds the folder (`lock.exclusive`). An error in `body` is raised on; then its
        checkpoints stay for the next attempt and nothing else is left behind.
        Raises TomogramError where the folder cannot be written.
        """
        with explained(self.path):
            if not self.done():
                if not self._stands(self._partial / "results"):  # else killed while publishing
                    self._attempt(body)
                swap_in(self._partial / "results", self.path)
            discard(self._partial)
            discard(self.path.with_name(f".{self.name}.old"))
        return self.path

    @property
    def _seal_path(self) -> Path:
        return self.path / "stage.json"

    @property
    def _partial(self) -> Path:
        return self.folder / f".{self.name}.partial"

    def _attempt(self, body: Callable[[Work], None]) -> None:
        work = Work(self._partial / "results", self._partial / "checkpoints")
        attempts = self._open_partial(work)
        start = time.monotonic()
        try:
            with explained(self.path):  # before tidying up, which makes space again
                body(work)
                self._seal(work.results, time.monotonic() - start, attempts)
        except Exception:
            self._tidy(work)
            raise

    def _open_partial(self, work: Work) -> int:
        """Make the folders of an attempt and return its running number, counted from 1."""
        marker = self._partial / "inputs.json"
        begun = _read(marker)
        if begun.get("digest") != self.digest:
            discard(self._partial)
            begun = {}
        discard(work.results)
        work.results.mkdir(parents=True)
        work.checkpoints.mkdir(exist_ok=True)
        attempts = int(begun.get("attempts", 0)) + 1
        write_json(marker, {"digest": self.digest, "attempts": attempts})
        return attempts

    def _seal(self, results: Path, seconds: float, attempts: int) -> None:
        """Write stage.json last, after everything it lists has reached the disk."""
        flush_folder(results)
        files: dict[str, Json] = {
            name: {"bytes": (results / name).stat().st_size, "sha256": digest_file(results / name)}
            for name in files_below(results)
        }
        timing: Json = {"seconds": round(seconds, 3), "attempts": attempts}
        write_json(results / "timing.json", timing)
        write_json(
            results / "stage.json",
            {
                "name": self.name,
                "version": self.version,
                "inputs": self.inputs,
                "digest": self.digest,
                "files": files,
            },
        )

    def _stands(self, results: Path) -> bool:
        seal = _read(results / "stage.json")
        return seal.get("digest") == self.digest and all(
            _size(results / name) == file["bytes"] for name, file in seal["files"].items()
        )

    def _tidy(self, work: Work) -> None:
        """After an error: keep checkpoints, if there are any, and remove the rest."""
        if any(work.checkpoints.iterdir()):
            discard(work.results)
        else:
            discard(self._partial)


def _read(path: Path) -> dict:
    """A small JSON file's object, or an empty one where there is none that can be read."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
