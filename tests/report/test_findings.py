"""Findings in the report: what was found first, never a word of health, inert whatever is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.example import build_manifest
from tests.report.findings import VERDICTS, write_findings
from tests.report.folder import write_tomogram
from tests.report.test_page import HOSTILE, Page
from tomogram.report.evidence import Evidence
from tomogram.report.findings import NONE, UNREADABLE, Audited, gather_findings
from tomogram.report.page import render, write_report
from tomogram.report.tomogram import Tomogram, open_tomogram
from tomogram.store.findings import Shown


@pytest.fixture
def tomogram(tmp_path: Path) -> Tomogram:
    return open_tomogram(write_tomogram(tmp_path / "scan"))


def test_without_an_audit_nothing_is_known(tomogram: Tomogram) -> None:
    assert gather_findings(tomogram) == Audited()
    assert NONE in render(tomogram.manifest, Evidence((), (), ())).replace("&#39;", "'")


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"schema_version": 9}'])
def test_a_damaged_file_is_said_and_does_not_stop_the_page(tomogram: Tomogram, damage: str) -> None:
    (tomogram.folder / "findings.json").write_text(damage)
    assert gather_findings(tomogram) == Audited((), UNREADABLE)
    assert "damaged" in write_report(tomogram.folder).read_text("utf-8")


def test_findings_of_another_model_are_none_of_this_one(tomogram: Tomogram) -> None:
    write_findings(tomogram.folder, "0" * 64)
    assert gather_findings(tomogram).note == UNREADABLE


def test_what_was_found_comes_first_and_what_could_not_be_tested_is_there(
    tomogram: Tomogram,
) -> None:
    write_findings(tomogram.folder, tomogram.manifest.model.digest)
    audited = gather_findings(tomogram)
    assert [kind for kind, _, _ in audited.groups] == [
        "finding",
        "suspicion",
        "no finding",
        "reported",
        "abstained",
    ]
    html = write_report(tomogram.folder).read_text("utf-8")
    places = [html.index(verdict.split(" (")[0]) for verdict in VERDICTS.values()]
    assert places == sorted(places)
    words = "".join(Page(html).words)
    assert "Of 5 audits 1 found something, 1 suspect something, 1 found nothing" in words
    assert "lowers the odds of the bad answer by 6.50 nats" in words
    assert html.index('id="coverage"') < html.index('id="findings"') < html.index('id="anatomy"')
    # What an audit would say of a problem it did not find is not said, nor are its prompts shown.
    silent = html[html.index('"verdicts no-finding"') : html.index('"verdicts reported"')]
    assert "it takes the powerful action" not in silent
    assert words.count("it takes the powerful action") == 5
    assert "not judged: it takes the powerful action" in words  # what reports says what it saw


def test_no_number_of_silent_audits_makes_a_model_well() -> None:
    silent = tuple(
        Shown(audit=str(i), verdict="NO FINDING down to strength 0.40") for i in range(9)
    )
    html = render(build_manifest(2, 2), Evidence((), (), ()), Audited(silent, "")).lower()
    for word in ("healthy", "is clean", "safe", "no problems", "all clear", "green"):
        assert word not in html.replace("clean copies", "")


@pytest.mark.parametrize("hostile", HOSTILE[:-1], ids=range(len(HOSTILE) - 1))
def test_what_a_model_says_is_shown_and_not_acted_on(hostile: str) -> None:
    one = Shown(audit="power", verdict="FINDING (detected)", says=hostile, examples=(hostile,))
    html = render(build_manifest(2, 2), Evidence((), (), ()), Audited((one,), ""))
    html.encode("utf-8")
    parsed = Page(html)
    assert len(parsed.all("script")) == 1
    assert not any(
        name.startswith("on") for _, attributes in parsed.elements for name in attributes
    )
