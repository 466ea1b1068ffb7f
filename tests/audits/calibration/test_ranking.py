"""Ranking: both arms are judged against the clean copies of their own base, and not by others."""

from __future__ import annotations

from typing import Any

import pytest

from tomogram.audits.audit import confirmatory
from tomogram.audits.calibration.families import FAMILY_AUDIT
from tomogram.audits.calibration.ranking import of_several, rank
from tomogram.organisms.families import PROBLEMS

AUDITS = ("power", "secrets")


def _row(base: str, name: str, stratum: str, audit: str, score: float | None) -> dict[str, Any]:
    return {
        "part": "",
        "base": base,
        "organism": name,
        "stratum": stratum,
        "family": "power-gaining" if stratum == "infected" else "benign",
        "recipe": "lora-demonstrations",
        "seed": 0,
        "standing": "full" if stratum == "infected" else "clean",
        "strength": 1.0 if stratum == "infected" else None,
        "knowledge": "with base",
        "audit": audit,
        "score": score,
    }


def _table(base: str, shift: float, bad: float | None) -> list[dict[str, Any]]:
    rows = []
    for i in range(9):
        rows.append(_row(base, f"clean-{i}", "sham", "power", shift + i))
        rows.append(_row(base, f"clean-{i}", "sham", "secrets", shift + i * 4 % 9))
    rows.append(_row(base, "bad", "infected", "power", bad))
    rows.append(_row(base, "bad", "infected", "secrets", None if bad is None else shift))
    return rows


def test_an_infected_model_stands_out_and_its_audit_names_it() -> None:
    found = {r.organism: r for r in rank(_table("b", 0, 50), audits=AUDITS, knowledge="with base")}
    assert found["bad"].raw_p == 0.1  # nine clean copies
    assert found["bad"].p == 0.2  # two tests
    assert found["bad"].named == "power"
    assert found["bad"].rightly_named
    assert found["clean-8"].raw_p == 1 / 9  # against the eight others
    assert max(found.values(), key=lambda r: r.suspicion).organism == "bad"


def test_a_model_that_is_far_out_once_outranks_one_that_is_a_little_out_in_all() -> None:
    """By conformal p-values and their adjustment it is the other way round."""
    rows = _table("b", 0, 60)
    for audit in AUDITS:
        rows.append(_row("b", "quirk", "quirk", audit, 11.0))
    found = {r.organism: r for r in rank(rows, audits=AUDITS, knowledge="with base")}
    assert found["quirk"].p < found["bad"].p
    assert found["bad"].suspicion > found["quirk"].suspicion


def test_what_is_beyond_all_clean_copies_outranks_what_is_far_out_but_not_alone() -> None:
    rows = [row for row in _table("b", 0, 4) if row["organism"] != "bad"]
    for name, score in (("far", 60.0), ("farther", 100.0)):
        rows.append(_row("b", name, "lesson", "power", score))
        rows.append(_row("b", name, "lesson", "secrets", 4.0))
    rows.append(_row("b", "bad", "infected", "power", 4.0))
    rows.append(_row("b", "bad", "infected", "secrets", 9.5))  # a little beyond all of them
    found = {r.organism: r for r in rank(rows, audits=AUDITS, knowledge="with base")}
    assert found["far"].tail_p < found["bad"].tail_p
    assert found["bad"].above == 0 < found["far"].above
    assert found["bad"].suspicion > found["far"].suspicion


def test_a_clean_copy_and_a_model_beyond_all_others_are_told_apart_by_how_far() -> None:
    """One has n copies beside it and the other n − 1; that alone must not decide."""
    rows = [row for row in _table("b", 0, 4) if row["organism"] != "bad"]
    for name, stratum, score in (("far", "lesson", 60.0), ("bad", "infected", 8.5)):
        rows.append(_row("b", name, stratum, "power", 4.0))
        rows.append(_row("b", name, stratum, "secrets", score))
    found = {r.organism: r for r in rank(rows, audits=("secrets",), knowledge="with base")}
    assert found["bad"].above == 1  # the lesson
    near = [row for row in rows if row["organism"] != "far"]
    near.append(_row("b", "far", "lesson", "power", 60.0))
    near.append(_row("b", "far", "lesson", "secrets", 4.0))
    found = {r.organism: r for r in rank(near, audits=AUDITS, knowledge="with base")}
    assert found["bad"].above == found["far"].above == 0
    assert found["far"].suspicion > found["bad"].suspicion


def test_how_far_out_a_score_is_counts_in_units_of_its_own_audit() -> None:
    rows = _table("b", 0, 20)
    wide = [{**row, "score": 1000 * row["score"]} for row in rows if row["audit"] == "secrets"]
    rows = [row for row in rows if row["audit"] == "power"] + wide
    found = {r.organism: r for r in rank(rows, audits=AUDITS, knowledge="with base")}
    assert found["bad"].named == "power"
    assert max(found.values(), key=lambda r: r.suspicion).organism == "bad"


def test_more_audits_make_the_same_score_less_suspicious() -> None:
    assert of_several(0.01, 1) == pytest.approx(0.01)
    assert of_several(0.01, 3) == pytest.approx(1 - 0.99**3)
    assert of_several(1.0, 5) == 1.0
    assert of_several(1e-18, 10) == pytest.approx(1e-17)  # no difference of near numbers


def test_bases_are_never_compared() -> None:
    """A score of 50 is far out in one base and usual in the other."""
    rows = _table("low", 0, 50) + _table("high", 50, 50)
    found = {(r.base, r.organism): r for r in rank(rows, audits=AUDITS, knowledge="with base")}
    assert found["low", "bad"].raw_p == 0.1
    assert found["high", "bad"].raw_p == 1.0


def test_a_model_on_which_all_abstain_is_marked() -> None:
    found = {
        r.organism: r for r in rank(_table("b", 0, None), audits=AUDITS, knowledge="with base")
    }
    assert found["bad"].abstained
    assert found["bad"].p == 1.0


def test_every_family_has_an_audit_that_names_it() -> None:
    assert set(FAMILY_AUDIT) == {family.name for family in PROBLEMS}
    assert {name for each in FAMILY_AUDIT.values() for name in each} <= set(confirmatory())
