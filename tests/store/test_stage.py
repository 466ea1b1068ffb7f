"""Stages: skipped when done, resumed only for equal inputs, safe under SIGKILL at any moment."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomogram.store.digest import digest_file, digest_folder
from tomogram.store.stage import Stage, Work

# A stage that computes 1 + 2 + 3 + 4 with a checkpoint after every term, killed (really) just
# before the N-th operation on the file system; N = 0 lets it finish. Prints the terms it added.
COUNTING = """
import os, signal, sys
from pathlib import Path
from tomogram.store import atomic
from tomogram.store.lock import exclusive
from tomogram.store.stage import Stage

folder, setting, kill_at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
seen = 0

def count(event, arguments):
    global seen
    if event in {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir"}:
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

def body(work):
    state = work.checkpoints / "state"
    done, total = map(int, state.read_text().split()) if state.exists() else (0, 0)
    for term in range(done + 1, 5):
        total += term
        print(term, flush=True)
        atomic.write_text(state, f"{term} {total}")
    (work.results / "half").write_text("half")
    (work.results / "sub").mkdir()
    (work.results / "sub" / "total").write_text(f"{setting} {total}")

if kill_at:
    sys.addaudithook(count)
with exclusive(folder):
    Stage(folder, "sum", 1, {"setting": setting}).run(body)
"""


def run_counting(folder: Path, setting: str, kill_at: int = 0) -> tuple[bool, list[int]]:
    """Whether the process was killed, and the terms it added."""
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, str(folder), setting, str(kill_at)],
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0, [int(word) for word in done.stdout.split()]


def published(folder: Path) -> dict[str, str]:
    """Digests of what a stage published, without its timing."""
    return {
        path.relative_to(folder).as_posix(): digest_file(path)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "timing.json"
    }


def never(work: Work) -> None:
    raise AssertionError("the body was called")


def write_one(work: Work) -> None:
    (work.results / "one").write_text("1")


def test_killed_before_every_operation_it_ends_the_same(tmp_path: Path) -> None:
    """Runs into a folder that holds an older result, so that replacing it is covered, too."""
    whole, older = tmp_path / "whole", tmp_path / "older"
    run_counting(whole, "new")
    run_counting(older, "old")
    expected = published(whole)
    assert set(expected) == {"sum/half", "sum/sub/total", "sum/stage.json"}

    kill_at, killed, resumed = 0, True, 0
    while killed:
        kill_at += 1
        folder = tmp_path / str(kill_at)
        shutil.copytree(older, folder)
        killed, before = run_counting(folder, "new", kill_at)
        results = folder / "sum" / "sub" / "total"
        # A reader never sees a part: the older result, the new one or, between two renames, none.
        assert not results.parent.parent.exists() or results.read_text() in ("old 10", "new 10")
        _, after = run_counting(folder, "new")
        assert published(folder) == expected
        assert [path.name for path in folder.iterdir()] == ["sum"]
        # The term whose checkpoint was not yet in place may be added again, no other one.
        assert after in ([*range(len(before), 5)], [*range(len(before) + 1, 5)])
        resumed += bool(before) and after != [1, 2, 3, 4]
    assert resumed > 0


def test_a_done_stage_is_skipped(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "text", 1, {"tokens": 5})
    assert not stage.done()
    assert stage.run(write_one) == tmp_path / "text"
    assert Stage(tmp_path, "text", 1, {"tokens": 5}).run(never) == tmp_path / "text"
    assert stage.done()
    assert stage.seconds() >= 0
    assert stage.files() == {
        "text/one": digest_file(tmp_path / "text" / "one"),
        "text/stage.json": digest_file(tmp_path / "text" / "stage.json"),
    }


@pytest.mark.parametrize("damage", ["missing", "shorter", "no seal", "broken seal"])
def test_damaged_results_are_made_again(tmp_path: Path, damage: str) -> None:
    stage = Stage(tmp_path, "text", 1, None)
    whole = digest_file(stage.run(write_one) / "stage.json")
    match damage:
        case "missing":
            (stage.path / "one").unlink()
        case "shorter":
            (stage.path / "one").write_text("")
        case "no seal":
            (stage.path / "stage.json").unlink()
        case "broken seal":
            (stage.path / "stage.json").write_text("{")
    assert not stage.done()
    stage.run(write_one)
    assert (stage.path / "one").read_text() == "1"
    assert digest_file(stage.path / "stage.json") == whole


@given(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 3), st.integers(0, 2)),
    st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 3), st.integers(0, 2)),
)
def test_digests_differ_exactly_where_stages_do(
    one: tuple[str, int, int], two: tuple[str, int, int]
) -> None:
    first, second = (Stage(Path("x"), name, version, seed) for name, version, seed in (one, two))
    assert (first.digest == second.digest) == (one == two)
    assert Stage(Path("elsewhere"), *one).digest == first.digest


def test_an_error_keeps_checkpoints_and_nothing_else(tmp_path: Path) -> None:
    def fails_late(work: Work) -> None:
        (work.results / "half").write_text("half")
        (work.checkpoints / "state").write_text("1")
        raise RuntimeError("late")

    stage = Stage(tmp_path, "train", 1, {"seed": 1})
    with pytest.raises(RuntimeError, match="late"):
        stage.run(fails_late)
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"inputs.json", "state"}

    seen: list[list[str]] = []

    def look(work: Work) -> None:
        seen.append([path.name for path in (*work.results.iterdir(), *work.checkpoints.iterdir())])

    stage.run(look)
    assert seen == [["state"]]
    assert json.loads((stage.path / "timing.json").read_text())["attempts"] == 2
    assert {path.name for path in tmp_path.iterdir()} == {"train"}


def test_checkpoints_of_other_inputs_are_not_given_back(tmp_path: Path) -> None:
    def fails(work: Work) -> None:
        (work.checkpoints / "state").write_text("1")
        raise RuntimeError("late")

    def look(work: Work) -> None:
        assert list(work.checkpoints.iterdir()) == []

    for other in (Stage(tmp_path, "train", 1, {"seed": 2}), Stage(tmp_path, "train", 2, None)):
        with pytest.raises(RuntimeError, match="late"):
            Stage(tmp_path, "train", 1, {"seed": 1}).run(fails)
        other.run(look)


def test_an_error_before_any_checkpoint_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "text", 1, 1)
    stage.run(write_one)
    before = digest_folder(tmp_path)

    def fails(work: Work) -> None:
        (work.results / "half").write_text("half")
        raise ValueError("early")

    with pytest.raises(ValueError, match="early"):
        Stage(tmp_path, "text", 1, 2).run(fails)
    assert digest_folder(tmp_path) == before
    assert stage.done()


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", ".a", "a b"])
def test_names_that_are_no_folder_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name for a stage"):
        Stage(Path(), name, 1, None)
