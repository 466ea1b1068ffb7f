"""Opening a scan's folder, and writing its page again."""

from __future__ import annotations

from pathlib import Path

import pytest

import tomogram
from tests.report.folder import SPELLING, write_tomogram
from tests.report.test_page import HOSTILE, Page
from tomogram.cli.main import main
from tomogram.report.page import write_report
from tomogram.report.tomogram import open_tomogram
from tomogram.store.errors import TomogramError


def test_a_finished_scan_is_opened(tmp_path: Path) -> None:
    scan = tomogram.open(write_tomogram(tmp_path))
    assert scan.manifest.model.name == "stories15M"
    assert scan.features.query("SELECT count(*) AS n FROM features")[0]["n"] == 40
    assert scan.spelling == SPELLING
    assert scan.report == tmp_path / "report.html"


def test_the_page_is_written_the_same_every_time(tmp_path: Path) -> None:
    folder = write_tomogram(tmp_path)
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    assert b"resid_post.1" in first


def test_a_hostile_vocabulary_stays_inert(tmp_path: Path) -> None:
    spelling = (*HOSTILE, *SPELLING[len(HOSTILE) :])
    html = write_report(write_tomogram(tmp_path, spelling=spelling)).read_text(encoding="utf-8")
    parsed = Page(html)
    assert len(parsed.all("script")) == 1
    assert not parsed.all("img")
    assert not any(k.startswith("on") for _, attributes in parsed.elements for k in attributes)
    assert len(html) < 10_000_000


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("tomogram.json", "no finished scan"),
        ("features/features.parquet", "features.parquet"),
        ("features/exemplars.parquet", "exemplars.parquet"),
        ("text/vocabulary.json", "vocabulary.json"),
        ("text/train.safetensors", "train.safetensors"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, missing: str, sentence: str) -> None:
    folder = write_tomogram(tmp_path)
    (folder / missing).unlink()
    with pytest.raises(TomogramError, match=sentence):
        write_report(folder)
    assert not (folder / "report.html").exists()


def test_a_missing_folder_and_a_newer_scan_are_told(tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match="no folder"):
        open_tomogram(tmp_path / "nowhere")
    folder = write_tomogram(tmp_path)
    path = folder / "tomogram.json"
    path.write_bytes(path.read_bytes().replace(b'"schema_version": 1', b'"schema_version": 2'))
    with pytest.raises(TomogramError, match="newer"):
        open_tomogram(folder)


def test_the_command_writes_the_page_or_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(folder: Path) -> int:
        monkeypatch.setattr("sys.argv", ["tomogram", "report", str(folder)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    assert run(tmp_path) == 2
    refused = capsys.readouterr().err
    assert refused.startswith("tomogram: ")
    assert refused.count("\n") == 1
    assert run(write_tomogram(tmp_path / "scan")) == 0
    assert capsys.readouterr().out.strip().endswith("report.html")
