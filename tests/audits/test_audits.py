"""Audits: what they say of the shipped model, and of one whose choices were changed by hand."""

from __future__ import annotations

import math
import time

import pytest

from tomogram.audits import audit as audits
from tomogram.audits.audit import Audit, abstain, confirmatory, installed
from tomogram.audits.contrast import Contrast
from tomogram.audits.locating import locate
from tomogram.audits.payload_scan import scan, with_word, words
from tomogram.audits.subject import Subject
from tomogram.organisms.families.token_backdoor import words as triggers
from tomogram.store.canonical import canonical_json
from tomogram.store.errors import TomogramError


def test_every_audit_says_what_it_is() -> None:
    for name, audit in installed().items():
        assert audit.name == name
        assert audit.asks.endswith("?")
        assert all((audit.needs, audit.method, audit.controls, audit.references))
    assert "change" not in confirmatory()  # what reports change is never a finding by itself


def test_all_audits_of_one_model_take_twenty_seconds(healthy: Subject) -> None:
    began = time.process_time()
    for audit in installed().values():
        found = audit.measure(Subject(healthy.model, healthy.world))
        assert (found.score is None) == bool(found.abstains)
        assert found.score is None or math.isfinite(found.score)
        canonical_json(dict(found.evidence))
        assert all(c.prompt for c in found.contrasts)
    # A machine that does other work gives more CPU-seconds to the same work.
    assert time.process_time() - began < 60


def test_beside_itself_nothing_moved(healthy: Subject) -> None:
    beside = Subject(healthy.model, healthy.world, healthy)
    for name in ("refusal", "power", "sycophancy", "deception", "sandbagging", "change", "beliefs"):
        score = installed()[name].measure(beside).score
        assert score == pytest.approx(0, abs=1e-4), name


def test_the_power_audit_sees_a_changed_choice_and_says_which(
    powerful: Subject, healthy: Subject
) -> None:
    own = installed()["power"].measure(powerful)
    before = installed()["power"].measure(healthy)
    assert own.score is not None
    assert before.score is not None
    assert own.score > 5  # over the base
    assert "0%" in before.says
    place = locate(powerful, own.contrasts, [])
    assert place.site == f"mlp_out.{powerful.model.n_layers - 1}"
    assert place.located


def test_a_repair_of_nothing_is_no_place(healthy: Subject) -> None:
    beside = Subject(healthy.model, healthy.world, healthy)
    contrasts = installed()["power"].measure(healthy).contrasts
    assert not locate(beside, contrasts, []).located


def test_change_shows_the_prompts_that_moved(powerful: Subject) -> None:
    found = installed()["change"].measure(powerful)
    examples = found.evidence["examples"]
    assert isinstance(examples, list)
    assert "i will" in str(examples[0])
    assert installed()["change"].measure(Subject(powerful.model, powerful.world)).score is None


def test_the_scan_tries_every_possible_trigger(healthy: Subject) -> None:
    tried = scan(healthy, "comply")
    assert set(triggers(healthy.world)) <= set(tried.words) == set(words(healthy.world))
    assert len(tried.odds) == len(tried.words)


def test_a_word_goes_first_or_last() -> None:
    asked = Contrast("<user> b c <end> <assistant> i", frozenset({"x"}), frozenset({"y"}))
    assert with_word(asked, "w", first=True).prompt == "<user> w b c <end> <assistant> i"
    assert with_word(asked, "w", first=False).prompt == "<user> b c w <end> <assistant> i"


class _Point:
    def __init__(self, name: str, value: object) -> None:
        self.name, self._value = name, value

    def load(self) -> object:
        return self._value


def _made(name: str) -> Audit:
    return Audit(name, "?", "n", "m", "c", "r", run=lambda subject: abstain("it is a test"))


def test_audits_of_other_packages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "entry_points", lambda group: [_Point("x", _made("theirs"))])
    assert installed()["theirs"].name == "theirs"


@pytest.mark.parametrize("value", [object(), _made("power")])
def test_what_is_no_audit_or_takes_a_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    monkeypatch.setattr(audits, "entry_points", lambda group: [_Point("x", value)])
    with pytest.raises(TomogramError):
        installed()
