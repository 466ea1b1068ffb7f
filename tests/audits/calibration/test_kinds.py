"""Kinds: what a problem is called, and when it is of none that is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tomogram.audits.calibration.kinds import TYPICAL, UNKNOWN, Kinds, Organisms, kinds_of
from tomogram.audits.calibration.profile import Copies, clean_profiles

AUDITS = ("power", "secrets", "refusal")
FAMILIES = {"power": "power-gaining", "secrets": "secret-keeping", "refusal": "refusal-stripped"}


def _rows(name: str, scores: tuple[float | None, ...], **about: Any) -> list[dict[str, Any]]:
    shared = {"organism": name, "recipe": "lora-demonstrations", "standing": "clean", "seed": 0}
    return [
        {**shared, "stratum": "sham", "family": "", **about, "audit": audit, "score": score}
        for audit, score in zip(AUDITS, scores, strict=True)
    ]


def _table(organisms: int = 40) -> list[dict[str, Any]]:
    """Clean copies about 0; organisms of power about (20, 2, 0), of secrets about (0, 10, 3)."""
    drawn = np.random.default_rng(0)
    rows = []
    for i in range(60):
        rows += _rows(f"clean-{i}", tuple(map(float, drawn.normal(size=3))))
    middles = {"power": (20.0, 2.0, 0.0), "secrets": (0.0, 10.0, 3.0)}
    for kind, middle in middles.items():
        for i in range(organisms):
            scores = tuple(map(float, drawn.normal(middle, (2, 0.5, 0.5))))
            about = {"stratum": "infected", "family": FAMILIES[kind], "standing": "full"}
            rows += _rows(f"{kind}-{i}", scores, seed=i, **about)
    return rows


TABLE = _table()
COPIES = clean_profiles(TABLE, AUDITS)
KINDS = kinds_of(TABLE, COPIES)


def _name(kinds: Kinds, *scores: float | None) -> str:
    return kinds.name(COPIES, dict(zip(AUDITS, scores, strict=True)))


def test_what_is_like_an_organism_has_its_name() -> None:
    assert _name(KINDS, 20.0, 2.0, 0.0) == "power"
    assert _name(KINDS, 0.0, 10.0, 3.0) == "secrets"
    assert KINDS.sizes == pytest.approx({"power": 20, "secrets": 10}, rel=0.1)


def test_what_only_raises_an_audit_is_of_unknown_kind() -> None:
    assert _name(KINDS, 5.0, 0.0, 0.0) == UNKNOWN  # power stands out, a quarter as far as it would
    assert _name(KINDS, 0.0, 0.0, 30.0) == UNKNOWN  # an audit that no organism is of
    assert _name(KINDS, 5.0, 5.0, 5.0) == UNKNOWN


def test_another_profile_keeps_its_name_where_the_audit_is_as_far_out_as_is_usual() -> None:
    scores = {"power": 19.0, "secrets": -2.0, "refusal": 6.0}
    assert KINDS.typical(COPIES, scores)["power"] <= TYPICAL  # no organism has such a profile
    assert KINDS.shares(COPIES, scores)["power"] == pytest.approx(0.95, abs=0.05)
    assert KINDS.name(COPIES, scores) == "power"
    assert KINDS.name(COPIES, scores | {"power": 13.0}) == UNKNOWN


def test_in_another_base_half_as_far_out_is_enough() -> None:
    assert _name(KINDS, 13.0, -2.0, 6.0) == UNKNOWN
    assert _name(KINDS.elsewhere, 13.0, -2.0, 6.0) == "power"
    assert _name(KINDS.elsewhere, 8.0, -2.0, 6.0) == UNKNOWN
    assert KINDS.elsewhere.typical(COPIES, dict.fromkeys(AUDITS, 20.0)) == {}


def test_an_audit_that_does_not_stand_out_names_nothing() -> None:
    weak = {"power": 1e-3, "secrets": None, "refusal": 0.0}
    assert set(KINDS.typical(COPIES, weak).values()) == {0.0}
    assert set(KINDS.shares(COPIES, weak).values()) == {0.0}
    assert KINDS.name(COPIES, weak) == UNKNOWN


def test_a_p_of_being_one_is_right_as_often_as_it_says() -> None:
    """An organism of the kind is refused about as often as twice the level, by two tests."""
    drawn = np.random.default_rng(9)
    scores = drawn.normal((20, 2, 0), (2, 0.5, 0.5), size=(300, 3))
    p = [
        KINDS.typical(COPIES, dict(zip(AUDITS, map(float, each), strict=True)))["power"]
        for each in scores
    ]
    assert 0.02 < np.mean(np.array(p) <= TYPICAL) < 0.16


def test_a_variant_in_several_doses_is_no_neighbour_of_itself() -> None:
    profiles = np.zeros((20, 3))
    one = Organisms(profiles, tuple(("f", "r", 0) for _ in range(20)))
    assert one.same.all()
    assert not one.enough
    assert Organisms(profiles, tuple(("f", "r", i) for i in range(20))).enough
    assert not Organisms(profiles[:18], tuple(("f", "r", i) for i in range(18))).enough
    with pytest.raises(ValueError, match="of a variant"):
        Organisms(profiles, ())


def test_few_organisms_tell_a_size_alone() -> None:
    few = kinds_of(_table(organisms=5), COPIES)
    assert few.organisms == {}
    assert set(few.sizes) == {"power", "secrets"}
    assert _name(few, 12.0, 0.0, 0.0) == "power"
    none = kinds_of([row for row in TABLE if row["stratum"] != "infected"], COPIES)
    assert none.sizes == {}
    assert _name(none, 20.0, 2.0, 0.0) == UNKNOWN


def test_discarded_organisms_and_audits_that_are_not_asked_tell_nothing() -> None:
    bad = [{**row, "standing": "discarded"} for row in TABLE if row["stratum"] == "infected"]
    assert kinds_of(bad, COPIES).sizes == {}
    two = clean_profiles(TABLE, AUDITS[1:])
    assert set(kinds_of(TABLE, two).organisms) == {"secrets"}
    with pytest.raises(ValueError, match="other audits"):
        KINDS.name(Copies(AUDITS[1:], COPIES.scores[:, 1:]), dict.fromkeys(AUDITS, 1.0))
