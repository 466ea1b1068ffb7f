"""What a table of scores is of: it comes back from the file, and damage is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tomogram.audits.calibration.about import About, read_about
from tomogram.audits.calibration.scoring import read_scores, write_scores
from tomogram.store.errors import TomogramError

OF = About("ab" * 32, "somebody", "microworld 2", ("power", "refusal"))


def test_it_comes_back_and_old_tables_say_nothing(tmp_path: Path) -> None:
    write_scores([], tmp_path / "new.parquet", OF)
    write_scores([], tmp_path / "old.parquet")
    assert read_about(tmp_path / "new.parquet") == OF
    assert read_about(tmp_path / "old.parquet") is None
    assert read_scores(tmp_path / "new.parquet") == []


def test_damage_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    path.write_bytes(b"nothing")
    with pytest.raises(TomogramError, match="no table"):
        read_about(path)
    with pytest.raises(TomogramError, match="no table"):
        read_about(tmp_path / "absent.parquet")
    with pytest.raises(TomogramError, match="one audit at least"):
        About("ab", "x", "y", ())
