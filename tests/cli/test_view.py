"""`tomogram view` from outside: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.report.folder import write_tomogram
from tomogram.cli.main import app
from tomogram.features.tables import FEATURES
from tomogram.store.errors import TomogramError


def tomogram(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tomogram", "view", *arguments], capture_output=True, text=True
    )


def test_an_export_says_where_its_page_is(tmp_path: Path) -> None:
    scan = write_tomogram(tmp_path / "scan")
    done = tomogram(str(scan), "--export", str(tmp_path / "site"), "--json")
    assert done.returncode == 0, done.stderr
    page = Path(json.loads(done.stdout)["page"])
    assert page == tmp_path / "site" / "index.html"
    assert page.is_file()


def test_what_is_no_finished_scan_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = tomogram(str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no finished scan" in done.stderr


@pytest.mark.parametrize("name", ["features", "exemplars", "related"])
@pytest.mark.parametrize("kept", [0, 0.5, 0.99])
def test_a_truncated_table_is_refused_in_one_sentence(
    tmp_path: Path, name: str, kept: float
) -> None:
    path = write_tomogram(tmp_path / "scan") / "features" / f"{name}.parquet"
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    refused(tmp_path / "scan", rf"{name}\.parquet is no parquet table, or is damaged\.$")


@pytest.mark.parametrize("name", ["features", "exemplars", "related"])
def test_a_newer_table_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    path = write_tomogram(tmp_path / "scan") / "features" / f"{name}.parquet"
    newer = FEATURES.with_metadata({"tomogram.features": "99"})
    pq.write_table(newer.empty_table(), path)
    refused(tmp_path / "scan", r"format 99, which is newer than this version reads\.$")


def test_a_newer_schema_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = write_tomogram(tmp_path / "scan") / "tomogram.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    refused(tmp_path / "scan", "newer")


@pytest.mark.parametrize("data", ["", "{", "[]", "null", '{"schema_version": "x"}'])
def test_a_broken_manifest_is_refused_in_one_sentence(tmp_path: Path, data: str) -> None:
    (write_tomogram(tmp_path / "scan") / "tomogram.json").write_text(data)
    refused(tmp_path / "scan", r"tomogram\.json")


def refused(scan: Path, sentence: str) -> None:
    """Looking at a scan ends with an error meant for users, before anything is served."""
    done = CliRunner().invoke(app, ["view", str(scan), "--no-browser", "--port", "0"])
    assert isinstance(done.exception, TomogramError)
    with pytest.raises(TomogramError, match=sentence):
        raise done.exception


def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    scan = write_tomogram(tmp_path / "scan")
    command = [sys.executable, "-m", "tomogram", "view", str(scan), "--no-browser", "--json",
               "--port", "0"]  # fmt: skip
    # Tests that run in the background ignore an interrupt, and what they start would, too.
    heard = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=heard) as running:
        assert running.stdout is not None
        address = json.loads(running.stdout.readline())["address"]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address) as answer:
            assert b"app.js" in answer.read()
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0
