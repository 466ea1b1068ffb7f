"""The Inspect log, written and read back through Inspect's own API."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tomogram.disclosure.facts import Facts
from tomogram.disclosure.inspect_log import write_inspect
from tomogram.store.errors import TomogramError


@pytest.mark.parametrize("which", ["facts", "hostile"])
def test_it_is_read_back(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    log_api = pytest.importorskip("inspect_ai.log", reason="inspect-ai is not installed")
    facts: Facts = request.getfixturevalue(which)
    path = tmp_path / "disclosure.eval"
    write_inspect(facts, path)
    log = log_api.read_eval_log(str(path))
    assert log.status == "success"
    assert log.eval.created.startswith("2026-11-21")
    samples = {sample.id: sample for sample in log.samples}
    assert len(samples) == 4 + 3
    assert samples["audit/backdoor"].scores["verdict"].value == "FINDING (located)"
    assert samples["sealed/lamps/1"].scores["answer"].value == "PASS"
    aborted = samples["sealed/lamps/5"]
    assert aborted.error is not None
    assert not aborted.scores
    assert (log.results.total_samples, log.results.completed_samples) == (7, 6)
    (scan,) = log.results.scores
    assert scan.metrics["loss"].value == facts.coverage.loss.value
    block = log.eval.metadata["how_interpretability_was_used"]
    assert len(block["suites"][0]["consultations"]) == 3


def test_a_scan_without_audits_has_no_sample(bare: Facts, tmp_path: Path) -> None:
    log_api = pytest.importorskip("inspect_ai.log", reason="inspect-ai is not installed")
    path = tmp_path / "bare.eval"
    write_inspect(bare, path)
    log = log_api.read_eval_log(str(path))
    assert not log.samples
    assert log.eval.metadata["audits_run"] is False


def test_without_inspect(bare: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    with pytest.raises(TomogramError, match=r"tomogram\[inspect\]"):
        write_inspect(bare, tmp_path / "bare.eval")
    assert not list(tmp_path.glob("*.eval"))
