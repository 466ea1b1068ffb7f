"""The manifest of a harvest: what it holds, of what, and which shards stand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from tomogram.store.atomic import write_json
from tomogram.store.errors import TomogramError

FILE = "harvest.json"

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Contents(_Record):
    """What decides the values of a harvest and their places in files.

    ``sites`` maps each site to the numbers it has for one token.
    """

    model: str
    model_digest: Digest
    text_digest: Digest
    rows: PositiveInt
    context: PositiveInt
    sites: dict[str, PositiveInt]
    dtype: Literal["float32", "bfloat16", "float16"]
    shard_rows: PositiveInt

    @property
    def n_shards(self) -> int:
        return -(-self.rows // self.shard_rows)

    def shard(self, number: int) -> range:
        """The rows of a shard."""
        low = number * self.shard_rows
        return range(low, min(low + self.shard_rows, self.rows))


class Shard(_Record):
    """A shard that is whole: its file and the XXH3 of the bytes at each site."""

    file: Annotated[str, Field(pattern=r"^[a-z0-9-]+\.safetensors$")]
    checksums: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]]


class Manifest(_Record):
    """All of ``harvest.json``; shards are written in order."""

    version: Literal[2] = 2
    contents: Contents
    shards: tuple[Shard, ...] = ()

    @property
    def complete(self) -> bool:
        return len(self.shards) == self.contents.n_shards

    def write(self, folder: Path) -> None:
        """Replace the manifest in a folder.

        Raises:
            TomogramError: the folder cannot be written.
        """
        write_json(folder / FILE, self.model_dump(mode="json"))


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in a folder; None where there is none.

    Raises:
        TomogramError: the manifest is damaged or of another version.
    """
    path = folder / FILE
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise TomogramError(f"{path} is damaged, or of another version of tomogram.") from error
    except OSError as error:
        raise TomogramError(f"{path} cannot be read ({error.strerror}).") from error
