"""Atomic writes: content, failures in one sentence, nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tomogram.store import atomic
from tomogram.store.errors import TomogramError


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_writes_make_parents_and_replace(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    atomic.write_bytes(path, b"old")
    atomic.write_text(path, "é\n")
    assert path.read_bytes() == b"\xc3\xa9\n"
    atomic.write_json(path, {"b": 1, "a": [1.5, None]})
    assert json.loads(path.read_text()) == {"a": [1.5, None], "b": 1}
    assert names(path.parent) == {"file"}


def test_a_failing_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail_halfway() -> None:
        with atomic.writing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("the writer broke")

    with pytest.raises(RuntimeError, match="the writer broke"):
        fail_halfway()
    assert path.read_text() == "old"
    assert names(tmp_path) == {"file"}


def test_what_a_killed_writer_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".file.tmp").write_text("left by a killed process, longer than the new content")
    atomic.write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert names(tmp_path) == {"file"}


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for content in ("first", "second"):
        with atomic.replacing_folder(folder) as temporary:
            (temporary / content).write_text(content)
        assert names(folder) == {content}
    with pytest.raises(ZeroDivisionError), atomic.replacing_folder(folder) as temporary:
        (temporary / "third").write_text(str(1 / 0))
    assert names(folder) == {"second"}
    assert names(tmp_path) == {"folder"}


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(TomogramError, match="collide"):
        atomic.write_text(tmp_path / "file" / "child", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(TomogramError, match="cannot be written"):
        atomic.write_text(tmp_path / "folder", "x")
    assert names(tmp_path) == {"file", "folder"}


def test_an_error_about_another_file_is_not_explained_away(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic.explained(tmp_path / "out" / "results"):
        (tmp_path / "input.txt").read_text()


ON_A_SMALL_DISK = """
import sys
from pathlib import Path
from tomogram.store import atomic
from tomogram.store.errors import TomogramError
from tomogram.store.lock import exclusive
from tomogram.store.stage import Stage

disk = Path(sys.argv[1])
atomic.write_text(disk / "old", "old")

class LibraryError(Exception):
    pass

def fill(path):
    try:
        path.write_bytes(bytes(1 << 20))
    except OSError as error:
        raise LibraryError("could not save") from error

def tell(action):
    try:
        action()
    except TomogramError as error:
        print(error)

def big_stage(work):
    (work.results / "small").write_text("x")
    fill(work.results / "big")

def with_library():
    with atomic.writing(disk / "old") as temporary:
        fill(temporary)

def whole_stage():
    with exclusive(disk):
        Stage(disk, "text", 1, {}).run(big_stage)

tell(lambda: atomic.write_bytes(disk / "old", bytes(1 << 20)))
tell(with_library)
tell(whole_stage)
print(sorted(p.name for p in disk.iterdir()), (disk / "old").read_text())
"""

ON_A_READ_ONLY_DISK = """
import sys
from pathlib import Path
from tomogram.store import atomic
from tomogram.store.errors import TomogramError
from tomogram.store.lock import exclusive

disk = Path(sys.argv[1])
def hold():
    with exclusive(disk):
        pass
for action in (lambda: atomic.write_text(disk / "new", "x"), hold):
    try:
        action()
    except TomogramError as error:
        print(error)
"""


def run_on_tmpfs(folder: Path, script: str, remount: str = "true") -> list[str]:
    """Run a script with `folder` as a disk of 256 KiB in a mount namespace of its own."""
    mount = f'mount -t tmpfs -o size=256k none "{folder}" && {remount}'
    inside = f'{mount} && exec "{sys.executable}" -c "$0" "{folder}"'
    try:
        trial = subprocess.run(["unshare", "-rm", "bash", "-c", mount], capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no unshare command to make a small disk with")
    if trial.returncode != 0:
        pytest.skip("this user may not mount a small disk")
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", inside, script], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_full_disk_is_one_sentence_and_nothing_is_left(tmp_path: Path) -> None:
    *sentences, left = run_on_tmpfs(tmp_path, ON_A_SMALL_DISK)
    assert len(sentences) == 3
    for sentence in sentences:
        assert sentence.endswith("cannot be written because the disk is full.")
    assert left == "['old'] old"


def test_a_read_only_disk_is_one_sentence(tmp_path: Path) -> None:
    sentences = run_on_tmpfs(tmp_path, ON_A_READ_ONLY_DISK, f'mount -o remount,ro "{tmp_path}"')
    assert len(sentences) == 2
    for sentence in sentences:
        assert "read-only" in sentence
