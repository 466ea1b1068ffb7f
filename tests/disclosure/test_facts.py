"""Facts are what the files say, and nothing is filled in that they do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.custody.lamps import Darkness
from tests.disclosed import DAY
from tomogram.custody.anchor import anchor
from tomogram.custody.keys import Key
from tomogram.custody.statement import sign_folder, use_of
from tomogram.disclosure.facts import Facts, gather, read_facts
from tomogram.disclosure.statement import Statement
from tomogram.store.canonical import readable_json
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Manifest


def test_everything_is_gathered(facts: Facts, manifest: Manifest) -> None:
    assert facts.model == manifest.model
    assert facts.coverage == manifest.coverage
    assert facts.audits is not None
    kinds = [each.kind for each in facts.audits.findings]
    assert kinds == ["abstained", "finding", "no finding", "suspicion"]
    assert facts.audits.findings[1].site == "resid_post.3"
    (use,) = facts.suites
    assert [asked.answer for asked in use.consultations] == ["PASS", "ALARM", None]
    assert {check.name: check.outcome for check in facts.checks}["evidence"] == "reproduced"


def test_a_scan_alone_says_what_is_missing(bare: Facts) -> None:
    assert bare.audits is None
    assert bare.suites == ()
    assert bare.statement == Statement()


def test_facts_come_back_from_their_file(facts: Facts, tmp_path: Path) -> None:
    path = tmp_path / "disclosure.json"
    path.write_text(readable_json(facts.model_dump(mode="json")))
    assert read_facts(path) == facts
    for wrong in ("{}", "[", '{"format": 2}'):
        path.write_text(wrong)
        with pytest.raises(TomogramError, match="no disclosure"):
            read_facts(path)
    with pytest.raises(TomogramError, match="could not be read"):
        read_facts(tmp_path / "none.json")


def test_audits_of_another_model_are_refused(folder: Path, findings: Path) -> None:
    content = json.loads(findings.read_text())
    content["model"]["digest"] = "0" * 64
    findings.write_text(readable_json(content))
    with pytest.raises(TomogramError, match="another model"):
        gather(folder, made=DAY)


@pytest.mark.parametrize("verdict", ["CLEAN", "FINDINGS", "", "no finding"])
def test_a_verdict_no_audit_gives_is_refused(folder: Path, findings: Path, verdict: str) -> None:
    content = json.loads(findings.read_text())
    content["findings"][0]["verdict"] = verdict
    findings.write_text(readable_json(content))
    with pytest.raises(TomogramError, match=r"no findings\.json"):
        gather(folder, made=DAY)


def test_damage_and_signatures_are_told(
    folder: Path, findings: Path, auditor: Key, suite: Path, tmp_path: Path
) -> None:
    head = anchor(suite, tmp_path / "anchor.json")
    sign_folder(folder, [], auditor)
    (folder / "features" / "features.parquet").write_bytes(b"PAR2")
    facts = gather(
        folder,
        made=DAY,
        suites=[suite],
        anchors={suite: head},
        identities=[auditor.identity],
        questions={"darkness": Darkness()},
    )
    outcomes = {check.name: check.outcome for check in facts.checks}
    assert outcomes == {
        "schema": "reproduced",
        "evidence": "differs",
        "statement": "reproduced",
        "files": "differs",
        "use of lamps": "differs",  # the statement is silent about the suite
    }
    sign_folder(folder, [use_of(suite)], auditor)
    (told,) = (
        check
        for check in gather(folder, made=DAY, suites=[suite]).checks
        if check.name == "use of lamps"
    )
    assert told.outcome == "reproduced"
    ledger = {check.name: check.outcome for check in facts.suites[0].checks}
    assert ledger["completeness"] == ledger["custodians"] == "reproduced"


def test_no_place_on_this_machine_is_told(folder: Path, suite: Path, tmp_path: Path) -> None:
    (folder / "features" / "features.parquet").unlink()
    (suite / "shards" / "run-1.sealed").unlink()
    facts = gather(folder, made=DAY, suites=[suite])
    assert str(tmp_path) not in facts.model_dump_json()


def test_a_day_is_a_day(folder: Path) -> None:
    for day in ("yesterday", "2026-13-01", ""):
        with pytest.raises(TomogramError, match="no day"):
            gather(folder, made=day)
