"""One shard: a safetensors file laid out before its values are known, then filled in order.

The library writes a file from whole tensors, so a shard would have to fit in memory twice.  Here
the header and the room for every site are made first; then each batch goes straight to its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import Executor, wait
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
import xxhash
from jaxtyping import Float
from torch import Tensor

from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

_NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
_ALIGNMENT = 4096  # bytes; tensors begin at a page, so that a reader can map them


class ShardWriter:
    """Writes one shard under a hidden name and gives it its own when it is whole.

    A context manager: leaving it with an error removes the hidden file.

    Args:
        path: where the shard appears.
        tokens: tokens it holds, known beforehand.
        widths: numbers a token has at each site.
        dtype: of the values in the file.

    Raises:
        OSError: the file cannot be made or there is no room for it.
    """

    def __init__(
        self, path: Path, tokens: int, widths: Mapping[Site, int], dtype: torch.dtype
    ) -> None:
        self._path, self._dtype = path, dtype
        self._hidden = path.with_name(f".{path.name}.tmp")
        header, self._places, size = _layout(tokens, widths, dtype)
        self._ends = {
            site: place + tokens * widths[site] * dtype.itemsize
            for site, place in self._places.items()
        }
        self._hashes = {site: xxhash.xxh3_64() for site in widths}
        self._file = os.open(self._hidden, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o666)
        try:
            _reserve(self._file, size)
            _write(self._file, memoryview(header), 0)
        except BaseException:
            self._abandon()
            raise

    @property
    def checksums(self) -> dict[Site, str]:
        """XXH3 (64 bits, hexadecimal) of what has been written at each site: enough against damage,
        at the speed of memory, which a cryptographic digest has not."""
        return {site: each.hexdigest() for site, each in self._hashes.items()}

    def write(
        self, activations: Mapping[Site, Float[Tensor, "tokens width"]], threads: Executor
    ) -> None:
        """Append the values of some tokens, at every site of the shard.

        Args:
            threads: the sites are written side by side in these.

        Raises:
            TomogramError: a value does not fit the file's dtype.
            OSError: the file cannot be written.
        """
        data = {
            site: _bytes(_converted(site, activations[site], self._dtype)) for site in self._places
        }
        appending = [threads.submit(self._append, site, each) for site, each in data.items()]
        # All are awaited before an error shows: nobody may write to a file that it has closed.
        wait(appending)
        for each in appending:
            each.result()

    def _append(self, site: Site, data: memoryview) -> None:
        place = self._places[site]
        if place + len(data) > self._ends[site]:
            raise ValueError(f"more tokens at {site} than the shard has room for")
        self._hashes[site].update(data)
        _write(self._file, data, place)
        self._places[site] = place + len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        if self._places != self._ends:
            self._abandon()
            raise ValueError(f"{self._path} was left before it was full")
        os.close(self._file)
        self._hidden.replace(self._path)

    def _abandon(self) -> None:
        os.close(self._file)
        self._hidden.unlink(missing_ok=True)


def _layout(
    tokens: int, widths: Mapping[Site, int], dtype: torch.dtype
) -> tuple[bytes, dict[Site, int], int]:
    """The header's bytes, the place of each site in the file, and the size of the file.

    The format: eight bytes with the header's length, the header as JSON padded with spaces, the
    tensors without a gap (safetensors' own description of it).
    """
    entries: dict[str, object] = {}
    offsets: dict[Site, int] = {}
    end = 0
    for site, width in widths.items():
        offsets[site] = end
        end += tokens * width * dtype.itemsize
        entries[str(site)] = {
            "dtype": _NAMES[dtype],
            "shape": [tokens, width],
            "data_offsets": [offsets[site], end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode("ascii")
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    header = len(text).to_bytes(8, "little") + text
    return header, {site: len(header) + low for site, low in offsets.items()}, len(header) + end


def _converted(site: Site, values: Tensor, dtype: torch.dtype) -> Tensor:
    """The values as they go to the file, in main memory."""
    converted = values.to("cpu", dtype).contiguous()
    # The other two formats reach as far as the model's own.
    if dtype == torch.float16 and not bool(converted.isfinite().all()):
        raise TomogramError(f"{site} has values beyond float16; harvest in bfloat16 or float32.")
    return converted


def _bytes(values: Tensor) -> memoryview:
    return values.flatten().view(torch.uint8).numpy().data


def _reserve(file: int, size: int) -> None:
    """Claim the file's room at once: a full disk is noticed early, and writing is several times
    cheaper than into a file that grows."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)


def _write(file: int, data: memoryview, place: int) -> None:
    while data:
        written = os.pwrite(file, data, place)
        data, place = data[written:], place + written
