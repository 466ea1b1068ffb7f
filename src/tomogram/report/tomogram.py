"""A tomogram on disk, opened for reading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tomogram.features.tables import Tables
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Manifest, parse_manifest
from tomogram.text.packing import PackedText, load_packed
from tomogram.text.spelling import load_spelling


@dataclass(frozen=True)
class Tomogram:
    """What one scan found. Everything beside the manifest is read when it is first asked for.

    Every attribute raises TomogramError where its file is missing or damaged.
    """

    folder: Path
    manifest: Manifest
    """All of `tomogram.json`."""

    @cached_property
    def features(self) -> Tables:
        """The tables of all units and their exemplars, to be asked by SQL."""
        return Tables(self.folder / "features")

    @cached_property
    def text(self) -> PackedText:
        """The text the units were observed on; exemplars are positions in it."""
        return load_packed(self.folder / "text" / "train.safetensors")

    @cached_property
    def spelling(self) -> tuple[str, ...]:
        """How each token of the vocabulary reads."""
        return load_spelling(self.folder / "text" / "vocabulary.json")

    @property
    def report(self) -> Path:
        """Where the page is."""
        return self.folder / "report.html"


def open_tomogram(folder: str | Path) -> Tomogram:
    """Open a finished scan's folder.

    Raises:
        TomogramError: there is no such folder, no finished scan in it, or its `tomogram.json` is
            broken or newer than this version reads.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise TomogramError(f"There is no folder {folder}.")
    path = folder / "tomogram.json"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise TomogramError(
            f"{folder} holds no finished scan: there is no tomogram.json in it."
        ) from None
    except OSError as error:
        raise TomogramError(f"{path} could not be read: {error.strerror}.") from error
    return Tomogram(folder, parse_manifest(data))
