"""Two releases side by side: what moved, what merely wobbled, and what was hidden."""

from __future__ import annotations

from typing import Any

from tomogram.disclosure.difference import Difference, difference, document
from tomogram.disclosure.facts import Facts
from tomogram.store.schema import Estimate


def changed(facts: Facts, **fields: Any) -> Facts:
    return facts.model_copy(update=fields)


def notes(found: Difference) -> dict[str, str]:
    return {each.what: each.note for each in found.changed}


def test_a_disclosure_does_not_differ_from_itself(facts: Facts, bare: Facts) -> None:
    for one in (facts, bare):
        found = difference(one, one)
        assert found.changed == ()
        assert found.compared > 10
    assert difference(facts, facts).developer == "Lamps & Sons (declared in both)"
    assert difference(facts, bare).developer == "not stated in both"


def test_intervals_decide_what_moved(facts: Facts) -> None:
    def with_loss(value: float, **more: Any) -> Facts:
        loss = Estimate(value=value, low=value - 0.02, high=value + 0.02, n=64)
        return changed(facts, coverage=facts.coverage.model_copy(update={"loss": loss}), **more)

    what = "Loss in nats per token"
    base = with_loss(1.0)
    assert "overlap: no difference" in notes(difference(base, with_loss(1.03)))[what]
    assert notes(difference(base, with_loss(1.05)))[what] == "the intervals do not overlap"
    other_text = facts.text.model_copy(update={"digest": "0" * 64})
    moved = notes(difference(base, with_loss(1.05, text=other_text)))[what]
    assert "not comparable" in moved


def test_verdicts_that_changed_or_vanished(facts: Facts) -> None:
    assert facts.audits is not None
    first, second, *rest = facts.audits.findings
    audits = facts.audits.model_copy(
        update={"findings": (second.model_copy(update={"verdict": "SUSPICION (p 0.04)"}), *rest)}
    )
    found = difference(facts, changed(facts, audits=audits))
    told = {each.what: (each.before, each.after) for each in found.changed}
    assert told["backdoor"] == ("FINDING (located)", "SUSPICION (p 0.04)")
    assert told["secrets"] == (first.verdict, "–")
    dropped = difference(facts, changed(facts, audits=None))
    assert "means nothing" in notes(dropped)["Audits"]


def test_a_ledger_that_was_cut_is_called_so(facts: Facts) -> None:
    (use,) = facts.suites
    shorter = use.model_copy(update={"rows": use.rows - 2, "consultations": use.consultations[:2]})
    key = "Suite lamps: consultations"
    assert "never shrinks" in notes(difference(facts, changed(facts, suites=(shorter,))))[key]
    hidden = use.model_copy(update={"rows": use.rows + 5, "consultations": use.consultations[1:]})
    told = notes(difference(facts, changed(facts, suites=(hidden,))))[key]
    assert told == "the ask of row 1 stands in the earlier ledger and not in the later"
    first = use.consultations[0].model_copy(update={"answer": "ALARM"})
    other = use.model_copy(update={"consultations": (first, *use.consultations[1:])})
    told = notes(difference(facts, changed(facts, suites=(other,))))[key]
    assert told == "the ask of row 1 was answered otherwise in the earlier ledger"
    assert "one of the two only" in notes(difference(facts, changed(facts, suites=())))[key]


def test_an_aborted_run_that_was_finished_later_is_no_fault(facts: Facts) -> None:
    (use,) = facts.suites
    last = use.consultations[2].model_copy(update={"answer": "PASS"})
    later = use.model_copy(
        update={
            "rows": use.rows + 1,
            "head": "1" * 64,
            "consultations": (*use.consultations[:2], last),
        }
    )
    assert notes(difference(facts, changed(facts, suites=(later,)))) == {}


def test_what_was_declared_and_withdrawn(facts: Facts) -> None:
    own = facts.statement.model_copy(update={"form": {"provider": "Lamps & Sons"}, "licence": ""})
    found = difference(facts, changed(facts, statement=own))
    told = {each.what: (each.after, each.note) for each in found.changed}
    assert told["Release date"] == ("not stated", "withdrawn")
    assert told["Licence (SPDX)"][0] == "not stated"


def test_the_document_has_a_section_for_each_kind(facts: Facts, bare: Facts) -> None:
    made = document(difference(facts, bare))
    assert [section.title for section in made.sections][1:] == [
        "The model",
        "Figures of the scan",
        "Findings of audits",
        "How interpretability was used",
        "What was not measured",
        "Declared by the developer",
    ]
