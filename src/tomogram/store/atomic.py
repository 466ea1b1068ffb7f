"""Writing files and folders so that a reader sees the old content or the new, never a part.

New content goes into a hidden neighbour, is flushed to the disk and renamed into place. The
neighbour's name is fixed, so what a killed process left behind is overwritten by the next one; two
processes must not write one path at the same time (`lock.exclusive` sees to that).
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tomogram.store.canonical import Json, readable_json
from tomogram.store.errors import TomogramError

# Libraries hide ENOSPC behind errors of their own; with less space than this the disk is full.
_FULL_BYTES = 1 << 16


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Replace a file's content. Raises TomogramError where that is not possible."""
    with writing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Replace a file's content by UTF-8 text with plain newlines.

    Raises TomogramError where that is not possible.
    """
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Json) -> None:
    """Replace a file's content by byte-stable, readable JSON.

    Raises TomogramError where that is not possible, and the errors of `canonical.canonical_json`.
    """
    write_bytes(path, readable_json(value).encode("ascii"))


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; it becomes `path` when the block ends without error.

    For writers that want a file name: `with writing(p) as t: save_file(tensors, t)`. After an error
    the temporary file is removed and the old content stands. Missing parent folders are made.
    Raises TomogramError where the disk is full, read-only or closed to the user.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with explained(path):  # inside, because removing the part makes space again
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _flush(temporary)
            temporary.replace(path)
            _flush(path.parent)
    except BaseException:
        _remove_quietly(temporary)
        raise


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty temporary folder that becomes `folder` when the block ends without error.

    An existing folder is replaced as a whole; after an error it stands as it was.
    Raises TomogramError where the disk is full, read-only or closed to the user.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    try:
        with explained(folder):
            discard(temporary)
            temporary.mkdir(parents=True)
            yield temporary
            flush_folder(temporary)
            swap_in(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def swap_in(new: Path, folder: Path) -> None:
    """Rename `new` to `folder`, removing what stood there. Both lie in the same parent's tree.

    A kill between the two renames leaves `new` whole and `folder` absent, never a mixture.
    """
    old = folder.with_name(f".{folder.name}.old")
    discard(old)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    _flush(folder.parent)
    discard(old)


def discard(folder: Path) -> None:
    """Remove a folder, if it is there, in a way that never leaves half of it under its name."""
    trash = folder.with_name(f"{folder.name}.trash")
    if trash.exists():
        shutil.rmtree(trash)
    if folder.exists():
        folder.rename(trash)
        shutil.rmtree(trash)


def flush_folder(folder: Path) -> None:
    """Flush every file and folder below a folder to the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            _flush(Path(parent, name))
        _flush(Path(parent))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn a failure to write `path` into a TomogramError of one sentence.

    An error of the operating system that names a file elsewhere is not about this write and goes
    through unchanged. Libraries that raise errors of their own on a full disk are recognised by the
    space that is left.
    """
    try:
        yield
    except TomogramError:
        raise
    except OSError as error:
        if not _concerns(path, error):
            raise
        raise TomogramError(_sentence(path, error)) from error
    except Exception as error:
        if _space_left(path) < _FULL_BYTES:
            raise TomogramError(_full(path)) from error
        raise


def _concerns(path: Path, error: OSError) -> bool:
    """Whether an error names no file (a failed write), a neighbour of `path` or a folder above."""
    if not isinstance(error.filename, str | bytes):
        return True
    named, folder = Path(os.fsdecode(error.filename)).absolute(), path.absolute().parent
    return named.is_relative_to(folder) or folder.is_relative_to(named)


def _sentence(path: Path, error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return _full(path)
        case errno.EROFS:
            return f"{path} cannot be written because its file system is read-only."
        case errno.EACCES | errno.EPERM:
            return f"{path} cannot be written because you have no permission to."
        case errno.ENOTDIR | errno.EEXIST | errno.EISDIR:
            return f"{path} cannot be written because a file and a folder of one name collide."
        case _:
            reason = error.strerror or str(error) or type(error).__name__
            return f"{path} cannot be written: {reason}."


def _full(path: Path) -> str:
    return f"{path} cannot be written because the disk is full."


def _space_left(path: Path) -> int:
    """Free bytes on the file system that holds `path`, or would hold it."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush a folder; the rename is in order all the same.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.EBADF, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)


def _remove_quietly(path: Path) -> None:
    # The disk that refused the write may refuse this too; the first error is the one to tell.
    with suppress(OSError):
        path.unlink(missing_ok=True)
