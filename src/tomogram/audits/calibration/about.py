"""What a table of scores is of: written into the file beside the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tomogram.store.canonical import canonical_json
from tomogram.store.errors import TomogramError

KEY = b"tomogram.calibration"
"""Key of the metadata of the parquet file."""


@dataclass(frozen=True)
class About:
    """Of which base the copies are, and what was declared before any was scored.

    base: SHA-256 of the base's weights and configuration. name: what it is called in the rows.
    instrument: which audits in which version gave the scores; scores of another are no measure.
    declared: the audits whose p-values count, in order.
    """

    base: str
    name: str
    instrument: str
    declared: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.declared:
            raise TomogramError("A calibration declares one audit at least.")

    def metadata(self) -> dict[bytes, bytes]:
        """For the schema of a parquet file."""
        return {KEY: canonical_json({**asdict(self), "declared": list(self.declared)}).encode()}


def read_about(path: Path) -> About | None:
    """What a table is of; None where the file does not say.

    Raises TomogramError where it cannot be read.
    """
    try:
        metadata: Mapping[bytes, bytes] = pq.read_schema(path).metadata or {}
        if KEY not in metadata:
            return None
        told = json.loads(metadata[KEY])
        return About(
            str(told["base"]),
            str(told["name"]),
            str(told["instrument"]),
            tuple(str(each) for each in told["declared"]),
        )
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise TomogramError(f"{path} is no table of scores that can be read.") from error
