"""SHA-256 digests of bytes, files, folders, JSON values and arrays, as lower-case hexadecimal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tomogram.store.canonical import Json, canonical_json
from tomogram.store.errors import TomogramError


def digest_bytes(data: bytes | memoryview) -> str:
    """Digest of a run of bytes."""
    return hashlib.sha256(data).hexdigest()


def digest_json(value: Json) -> str:
    """Digest of a JSON value, through its canonical form.

    Raises the errors of `canonical.canonical_json`.
    """
    return digest_bytes(canonical_json(value).encode("ascii"))


def digest_file(path: Path) -> str:
    """Digest of a file's content, read in pieces.

    Raises TomogramError where the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TomogramError(f"{path} could not be read: {error.strerror}.") from error


def digest_folder(folder: Path) -> str:
    """Digest of a folder: the relative paths of all files below it and their contents.

    Empty folders, times and permissions do not count.
    Raises TomogramError where the folder is missing or a file cannot be read.
    """
    if not folder.is_dir():
        raise TomogramError(f"There is no folder {folder}.")
    return digest_json({name: digest_file(folder / name) for name in files_below(folder)})


def files_below(folder: Path) -> Iterator[str]:
    """Relative POSIX paths of all files below a folder, sorted."""
    yield from sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def digest_array(array: Any) -> str:
    """Digest of a numpy array or a torch tensor: its dtype, its shape and its values.

    A tensor and an array of the same dtype, shape and values have the same digest, whatever their
    device, strides or byte order. Raises TypeError for arrays of Python objects.
    """
    import numpy as np

    shape = [int(size) for size in array.shape]
    if hasattr(array, "detach"):  # a tensor; torch is not imported for arrays
        import torch

        dtype = str(array.dtype).removeprefix("torch.")
        flat = array.detach().cpu().contiguous().reshape(-1)
        flat = flat.view(torch.uint8).numpy()  # numpy has no bfloat16, but every dtype has bytes
    else:
        if array.dtype.hasobject:
            raise TypeError("an array of Python objects has no digest")
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        dtype = little.dtype.name
        flat = np.ascontiguousarray(little).reshape(-1).view(np.uint8)
    hasher = hashlib.sha256(canonical_json({"dtype": dtype, "shape": shape}).encode("ascii"))
    hasher.update(flat.data)
    return hasher.hexdigest()
