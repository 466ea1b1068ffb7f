"""Judged labels as a table, `labels.parquet`: one row a feature that a labeller was asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tomogram.features.judging.scores import Score
from tomogram.store.atomic import writing
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Estimate

FORMAT = 1
_FORMAT_KEY = b"tomogram.labels"

_SCORE = (("", pa.float64()), ("_low", pa.float64()), ("_high", pa.float64()), ("_n", pa.int32()))
LABELS = pa.schema(
    [
        ("family", pa.string()),
        ("unit", pa.int32()),
        ("label", pa.string()),  # null where the labeller had none to give
        *((f"detection{end}", kind) for end, kind in _SCORE),  # null where it was not judged
        ("detection_unread", pa.int32()),
        *((f"fuzzing{end}", kind) for end, kind in _SCORE),
        ("fuzzing_unread", pa.int32()),
    ],
    metadata={_FORMAT_KEY: str(FORMAT).encode()},
)


@dataclass(frozen=True)
class Judged:
    """A feature's label and its scores; a score is None where the label was not judged."""

    family: str
    unit: int
    label: str | None
    detection: Score | None = None
    fuzzing: Score | None = None


def write_judged(labels: Sequence[Judged], path: Path) -> None:
    """Write the table, atomically; the same labels give the same bytes."""
    rows = [
        {
            "family": each.family,
            "unit": each.unit,
            "label": each.label,
            **_columns("detection", each.detection),
            **_columns("fuzzing", each.fuzzing),
        }
        for each in sorted(labels, key=lambda each: (each.family, each.unit))
    ]
    with writing(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=LABELS), temporary, compression="zstd")


def read_judged(path: Path) -> list[Judged]:
    """Read the table again.

    Raises TomogramError where it is missing, damaged, or newer than this version reads.
    """
    try:
        table = pq.read_table(path)
        stated = int((table.schema.metadata or {}).get(_FORMAT_KEY, b"0"))
    except FileNotFoundError as error:
        raise TomogramError(f"There are no labels at {path}.") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TomogramError(f"{path} is no table of labels, or is damaged.") from error
    if stated != FORMAT:
        raise TomogramError(f"{path} has the format {stated}; this version reads {FORMAT}.")
    return [
        Judged(
            row["family"],
            row["unit"],
            row["label"],
            _score(row, "detection"),
            _score(row, "fuzzing"),
        )
        for row in table.to_pylist()
    ]


def _columns(name: str, score: Score | None) -> dict[str, float | int | None]:
    if score is None:
        return {}
    found = score.accuracy
    return {
        name: found.value,
        f"{name}_low": found.low,
        f"{name}_high": found.high,
        f"{name}_n": found.n,
        f"{name}_unread": score.unread,
    }


def _score(row: dict, name: str) -> Score | None:
    if row[name] is None:
        return None
    accuracy = Estimate(
        value=row[name], low=row[f"{name}_low"], high=row[f"{name}_high"], n=row[f"{name}_n"]
    )
    return Score(accuracy, row[f"{name}_unread"])
