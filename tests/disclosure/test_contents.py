"""What a person is told first, and that it cannot be read as more than it is."""

from __future__ import annotations

from tomogram.disclosure.contents import AUDITS_APART, at_a_glance, not_measured
from tomogram.disclosure.document import Pairs, Section, Table
from tomogram.disclosure.facts import Facts
from tomogram.store.findings import AUDITS
from tomogram.store.schema import NotMeasured


def told(section: Section) -> dict[str, str]:
    (pairs,) = (part for part in section.parts if isinstance(part, Pairs))
    return dict(pairs.rows)


def test_sealed_tests_in_a_line(facts: Facts) -> None:
    line = told(at_a_glance(facts))["Sealed tests consulted"]
    assert line.startswith(
        "3 times (1 PASS; 1 ALARM; 1 aborted, no answer), 1 about this model (PASS); 2.6 bits"
    )
    assert told(at_a_glance(facts))["Remains sealed"] == "2 of 3 shards; 1 opened for treatment"


def test_where_all_audits_abstained_that_is_all_that_is_said(facts: Facts) -> None:
    assert facts.audits is not None
    mixed = told(at_a_glance(facts))["Audits"]
    assert mixed.startswith("1 finding, 1 suspicion")
    quiet = tuple(each for each in facts.audits.findings if each.kind == "abstained")
    audits = facts.audits.model_copy(update={"findings": quiet})
    line = told(at_a_glance(facts.model_copy(update={"audits": audits})))["Audits"]
    assert line == "all 1 abstained, so they say nothing about this model"
    assert "0 findings" not in line


def test_audits_that_were_run_are_not_told_as_left_out(facts: Facts, bare: Facts) -> None:
    left_out = (NotMeasured(what=AUDITS, why="A scan runs no audits."),)
    for known, why in ((facts, AUDITS_APART), (bare, "A scan runs no audits.")):
        section = not_measured(known.model_copy(update={"not_measured": left_out}))
        (table,) = (part for part in section.parts if isinstance(part, Table))
        assert table.rows == ((AUDITS, why),)
