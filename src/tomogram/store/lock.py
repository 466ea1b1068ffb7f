"""One writer at a time in a folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tomogram.store.atomic import explained
from tomogram.store.errors import TomogramError


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a folder for this process alone, making the folder where it is missing.

    The folder itself is locked (`flock`), so no lock file is left behind and the lock ends with the
    process, however it ends. A file system without locks is used unguarded.
    Raises TomogramError where another process holds the folder, or it cannot be made or written.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    if not os.access(folder, os.W_OK):  # told before hours of work rather than after
        os.close(descriptor)
        raise TomogramError(f"{folder} cannot be written: it is read-only or not yours.")
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
            raise TomogramError(
                f"Another process is writing to {folder}; wait for it or choose another folder."
            ) from error
