"""The SARIF log: its structure as sarif-pydantic has it, and the standard's own rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tomogram.disclosure.facts import Facts
from tomogram.disclosure.sarif import sarif

# Section 3.20.21 of the standard; the library does not know it.
_UNKNOWN_TO_THE_LIBRARY = {"toolExecutionNotifications"}


def run_of(facts: Facts) -> dict[str, Any]:
    (run,) = json.loads(sarif(facts))["runs"]
    return run


@pytest.mark.parametrize("which", ["facts", "bare", "hostile"])
def test_every_name_in_it_is_one_of_the_standard_s(
    which: str, request: pytest.FixtureRequest
) -> None:
    library = pytest.importorskip("sarif_pydantic", reason="sarif-pydantic is not installed")
    read = library.Sarif.model_validate_json(sarif(request.getfixturevalue(which)))
    assert set(_extras(read)) <= _UNKNOWN_TO_THE_LIBRARY
    assert read.runs[0].tool.driver.name == "Tomogram"


def _extras(record: Any) -> Iterator[str]:
    """Names that the library's records do not have, at any depth."""
    if hasattr(record, "model_extra"):
        yield from record.model_extra or {}
        for name in type(record).model_fields:
            if name != "properties":
                yield from _extras(getattr(record, name))
    elif isinstance(record, list):
        for item in record:
            yield from _extras(item)


@pytest.mark.parametrize("which", ["facts", "bare", "hostile"])
def test_the_standard_s_rules(which: str, request: pytest.FixtureRequest) -> None:
    text = sarif(request.getfixturevalue(which))
    log = json.loads(text)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["message"]["text"]
        # Section 3.27.10: a result that does not fail has no level.
        assert (result["level"] == "none") == (result["kind"] != "fail")
        assert result["kind"] in {"fail", "review", "open", "informational"}
        place = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert run["artifacts"][place["index"]]["location"]["uri"] == place["uri"]
    prints = [json.dumps(result["partialFingerprints"]) for result in run["results"]]
    assert len(set(prints)) == len(prints)


def test_verdicts_and_answers_become_kinds(facts: Facts) -> None:
    kinds = [(r["ruleId"], r["kind"], r["level"]) for r in run_of(facts)["results"]]
    assert kinds == [
        ("audit/secrets", "open", "none"),
        ("audit/backdoor", "fail", "error"),
        ("audit/sycophancy", "informational", "none"),
        ("audit/power", "review", "none"),
        ("sealed/lamps/darkness", "informational", "none"),
        ("sealed/lamps/darkness", "fail", "warning"),
        ("sealed/lamps/darkness", "open", "none"),
    ]


def test_nothing_ever_passes(facts: Facts) -> None:
    assert "pass" not in {result["kind"] for result in run_of(facts)["results"]}


def test_silence_is_explained(bare: Facts) -> None:
    run = run_of(bare)
    assert run["results"] == []
    notes = [
        note["message"]["text"] for note in run["invocations"][0]["toolExecutionNotifications"]
    ]
    assert any("No audits were given" in note for note in notes)
    assert any("No ledger" in note for note in notes)


def test_the_block_is_carried(facts: Facts) -> None:
    block = run_of(facts)["properties"]["howInterpretabilityWasUsed"]
    assert len(block["suites"][0]["consultations"]) == 3
