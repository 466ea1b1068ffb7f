"""A harvest opened for reading: shards are mapped into memory, never read whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import xxhash
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tomogram.activations.manifest import Manifest, read_manifest
from tomogram.activations.stream import Batch
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText, load_packed

TEXT_FILE = "text.safetensors"


@dataclass(frozen=True, eq=False)
class Harvest:
    """Activations in a folder, with the packed text they belong to."""

    folder: Path
    manifest: Manifest
    text: PackedText

    @property
    def sites(self) -> tuple[Site, ...]:
        return tuple(Site.parse(name) for name in self.manifest.contents.sites)

    def batches(self, sites: Sequence[Site], *, batch_rows: int) -> Iterator[Batch]:
        """Yield the activations at some sites for the rows of the text, in order.

        A batch ends with its shard, so it may have fewer rows.  Values have the dtype of the files
        and lie in them: they are read when they are used.

        Raises:
            TomogramError: the harvest lacks a site, or a shard is missing or damaged.
        """
        for site in sites:
            if site not in self.sites:
                raise TomogramError(f"The harvest in {self.folder} has no site {site}.")
        context = self.manifest.contents.context
        for number in range(len(self.manifest.shards)):
            rows = self.manifest.contents.shard(number)
            values = {site: self._tensor(number, site) for site in sites}
            for low in range(0, len(rows), batch_rows):
                part = rows[low : low + batch_rows]
                window = slice(low * context, (low + len(part)) * context)
                yield Batch(
                    np.array(part, dtype=np.int64),
                    {site: value[window] for site, value in values.items()},
                )

    def verify(self) -> None:
        """Read every shard and compare its checksums.

        Raises:
            TomogramError: a shard is missing or damaged.
        """
        for number, shard in enumerate(self.manifest.shards):
            for site in self.sites:
                data = self._tensor(number, site).flatten().view(torch.uint8).numpy()
                if xxhash.xxh3_64_hexdigest(data.data) != shard.checksums.get(str(site)):
                    raise TomogramError(f"{self.folder / shard.file} is damaged at {site}.")

    def _tensor(self, number: int, site: Site) -> Tensor:
        contents = self.manifest.contents
        path = self.folder / self.manifest.shards[number].file
        try:
            with safe_open(path, framework="pt") as file:
                value: Tensor = file.get_tensor(str(site))
        except (OSError, SafetensorError) as error:
            raise TomogramError(f"{path} is missing or damaged.") from error
        shape = (len(contents.shard(number)) * contents.context, contents.sites[str(site)])
        if tuple(value.shape) != shape or str(value.dtype) != f"torch.{contents.dtype}":
            raise TomogramError(f"{path} is not the shard that the manifest describes.")
        return value


def open_harvest(folder: str | Path) -> Harvest:
    """Open what ``harvest`` wrote.

    Raises:
        TomogramError: there is no harvest in the folder, it is not complete, or it is damaged.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if manifest is None:
        raise TomogramError(f"There is no harvest in {folder}.")
    if not manifest.complete:
        raise TomogramError(
            f"The harvest in {folder} has {len(manifest.shards)} of "
            f"{manifest.contents.n_shards} shards; run it again to finish it."
        )
    text = load_packed(folder / TEXT_FILE)
    if text.digest != manifest.contents.text_digest:
        raise TomogramError(f"The text in {folder} is not the one that was harvested.")
    return Harvest(folder, manifest, text)
