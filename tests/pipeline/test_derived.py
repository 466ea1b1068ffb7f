"""What is made of a finished scan: once, again for other inputs, elsewhere where it must be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tomogram.pipeline.derived import derived
from tomogram.store.errors import TomogramError
from tomogram.store.lock import exclusive


def writer(made: list[str], text: str = "x") -> Callable[[Path], None]:
    """A body that notes that it ran."""

    def body(folder: Path) -> None:
        made.append(text)
        (folder / "result").write_text(text)

    return body


def test_it_is_made_once_for_the_same_inputs(tmp_path: Path) -> None:
    made: list[str] = []
    for inputs in ("one", "one", "two", "two"):
        path = derived(tmp_path, "index", 1, inputs, writer(made, inputs))
        assert (path / "result").read_text() == inputs
    assert path == tmp_path / "index"
    assert made == ["one", "two"]


def test_a_scan_that_cannot_be_written_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    path = derived(tmp_path, "index", 1, {}, writer(made))
    assert (path / "result").read_text() == "x"
    assert tmp_path not in path.parents
    assert list(tmp_path.iterdir()) == []


def test_while_another_process_writes_it_says_so_and_what_stands_is_read(tmp_path: Path) -> None:
    path = derived(tmp_path, "index", 1, "one", writer([]))
    with exclusive(tmp_path):
        assert derived(tmp_path, "index", 1, "one", writer([])) == path
        with pytest.raises(TomogramError, match="Another process"):
            derived(tmp_path, "index", 1, "two", writer([]))
