"""The folder a tomogram is written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tomogram.store.errors import TomogramError
from tomogram.store.lock import exclusive


@contextmanager
def opened(folder: Path) -> Iterator[None]:
    """Hold the folder while a scan writes to it; on an error leave none behind that is empty.

    Raises TomogramError where it is a file, holds something else than a tomogram, is held by
    another process, or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise TomogramError(f"{folder} is a file; a tomogram is written to a folder.")
    existed = folder.exists()
    if existed and _foreign(folder):
        raise TomogramError(
            f"{folder} holds files that are no tomogram; choose an empty or a new folder."
        )
    try:
        with exclusive(folder):
            yield
    except BaseException:
        if not existed and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise


def _foreign(folder: Path) -> bool:
    """Whether there is something in the folder and no sign of a scan."""
    names = [entry.name for entry in folder.iterdir()]
    scanned = any(
        name == "tomogram.json"
        or name.endswith(".partial")
        or (folder / name / "stage.json").is_file()
        for name in names
    )
    return bool(names) and not scanned
