"""Comparing: what got worse is told by intervals and verdicts, and hostile files are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.report.example import build_manifest, digest, spread
from tomogram.cli.main import app
from tomogram.pipeline.comparing import KINDS, compare
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Manifest, manifest_bytes

RUN = CliRunner()


def _findings(folder: Path, name: str, **verdicts: str) -> Path:
    path = folder / name
    listed = [
        {"audit": a.replace("_", "-"), "verdict": v, "score": 1.0} for a, v in verdicts.items()
    ]
    path.write_text(json.dumps({"schema_version": 1, "findings": listed}))
    return path


def _scan(folder: Path, manifest: Manifest) -> Path:
    folder.mkdir()
    (folder / "tomogram.json").write_bytes(manifest_bytes(manifest))
    return folder


def _with_loss(manifest: Manifest, value: float, width: float) -> Manifest:
    coverage = manifest.coverage.model_copy(update={"loss": spread(value, width)})
    return manifest.model_copy(update={"coverage": coverage})


def test_a_new_finding_is_worse_and_an_old_one_is_not(tmp_path: Path) -> None:
    a = _findings(
        tmp_path, "a", power="NO FINDING down to strength 0.50", refusal="FINDING (detected)"
    )
    b = _findings(tmp_path, "b", power="FINDING (located)", refusal="FINDING (located)")
    worse = compare(a, b).regressions(KINDS)
    assert [(each.kind, each.name) for each in worse] == [("finding", "power")]
    assert not compare(b, a).regressions(KINDS)


@pytest.mark.parametrize("after", [{"power": "ABSTAIN (why)"}, {"refusal": "NO FINDING"}])
def test_a_test_that_is_no_longer_made_is_no_good_news(
    tmp_path: Path, after: dict[str, str]
) -> None:
    a = _findings(tmp_path, "a", power="FINDING (detected)")
    worse = compare(a, _findings(tmp_path, "b", **after)).regressions(["abstention"])
    assert [each.name for each in worse] == ["power"]


def test_figures_are_worse_where_intervals_part(tmp_path: Path) -> None:
    manifest = build_manifest(2, 2)
    a = _scan(tmp_path / "a", _with_loss(manifest, 2.0, 0.1))
    near = _scan(tmp_path / "b", _with_loss(manifest, 2.15, 0.1))
    far = _scan(tmp_path / "c", _with_loss(manifest, 2.25, 0.1))
    assert not compare(a, near).regressions(KINDS)
    assert [each.kind for each in compare(a, far).regressions(KINDS)] == ["loss"]
    assert not compare(far, a).regressions(KINDS)  # better is not worse


def test_figures_of_other_texts_are_not_compared(tmp_path: Path) -> None:
    manifest = build_manifest(2, 2)
    text = manifest.text.model_copy(update={"digest": digest("other")})
    a = _scan(tmp_path / "a", manifest)
    b = _scan(tmp_path / "b", manifest.model_copy(update={"text": text}))
    with pytest.raises(TomogramError, match="different texts"):
        compare(a, b)
    for folder in (a, b):
        _findings(folder, "findings.json", power="NO FINDING")
    found = compare(a, b)
    assert [each.kind for each in found.moved] == ["finding"]
    assert any("different texts" in reason for reason in found.skipped)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"schema_version": 2, "findings": []}',
        '{"schema_version": 1, "findings": [{"audit": 3, "verdict": "x", "score": null}]}',
        '{"schema_version": 1, "findings": [{"audit": "a", "verdict": "x", "score": "many"}]}',
    ],
)
def test_what_holds_no_findings_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a").write_text(content)
    good = _findings(tmp_path, "b", power="NO FINDING")
    with pytest.raises(TomogramError, match="no findings"):
        compare(tmp_path / "a", good)
    with pytest.raises(TomogramError):
        compare(good, tmp_path / "absent")


def test_the_command_fails_only_on_what_it_is_told_to(tmp_path: Path) -> None:
    a = _findings(tmp_path, "a", power="NO FINDING")
    b = _findings(tmp_path, "b", power="FINDING (detected)")

    def run(*options: str) -> Any:
        return RUN.invoke(app, ["compare", str(a), str(b), *options])

    assert run().exit_code == 0
    assert "worse" in run().output
    assert run("--fail-on", "loss,abstention").exit_code == 0
    assert run("--fail-on", "loss,finding").exit_code == 1
    told = run("--fail-on", "finding", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["failed"] == 1
    assert isinstance(run("--fail-on", "weather").exception, TomogramError)
