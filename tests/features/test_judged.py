from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tomogram.features.judged import LABELS, Judged, read_judged, write_judged
from tomogram.features.judging.scores import Score
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Estimate

SCORE = Score(Estimate(value=0.7, low=0.6, high=0.8, n=40), 3)
LABELLED = [
    Judged("b", 4, "<script>alert(1)</script>", SCORE, None),
    Judged("a", 9, None),
    Judged("a", 2, "dogs", SCORE, SCORE),
]


def test_labels_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    write_judged(LABELLED, path)
    first = path.read_bytes()
    assert read_judged(path) == sorted(LABELLED, key=lambda each: (each.family, each.unit))
    write_judged(LABELLED[::-1], path)
    assert path.read_bytes() == first


def test_damaged_and_newer_tables_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    with pytest.raises(TomogramError, match="no labels"):
        read_judged(path)
    write_judged(LABELLED, path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(TomogramError, match="damaged"):
        read_judged(path)
    newer = LABELS.with_metadata({b"tomogram.labels": b"7"})
    pq.write_table(newer.empty_table(), path)
    with pytest.raises(TomogramError, match="format 7"):
        read_judged(path)
