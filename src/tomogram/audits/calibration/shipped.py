"""The calibration of the reference model that is part of this installation.

Its copies are those of the split `calibrate` of the declared zoo, about which no figure is;
`python -m benchmarks.audits.shipped` writes the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tomogram.audits.calibration.about import About, read_about
from tomogram.audits.calibration.scoring import read_scores
from tomogram.store.errors import TomogramError

TABLE = Path(__file__).parent / "tables" / "microworld.parquet"


@dataclass(frozen=True)
class Calibration:
    """The rows of a table of scores, with what they are of."""

    about: About
    rows: tuple[Mapping[str, Any], ...]


@lru_cache(maxsize=1)
def shipped() -> Calibration | None:
    """The calibration of the reference model; None where this installation has none.

    Raises TomogramError where it is damaged.
    """
    if not TABLE.is_file():
        return None
    about = read_about(TABLE)
    if about is None:
        raise TomogramError(f"{TABLE} does not say which model it is of.")
    return Calibration(about, tuple(read_scores(TABLE)))
