"""`tomogram view` from outside: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.report.folder import write_tomogram


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


def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    scan = write_tomogram(tmp_path / "scan")
    command = [sys.executable, "-m", "tomogram", "view", str(scan), "--no-browser", "--json",
               "--port", "0"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        address = json.loads(running.stdout.readline())["address"]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address) as answer:
            assert b"app.js" in answer.read()
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0
