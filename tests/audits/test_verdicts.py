"""Verdicts: p-values and adjustment by hand and beside scipy; never a word of health."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from tomogram.audits.verdicts import Clean, adjusted, judge, needed, p_value
from tomogram.store.errors import TomogramError

ENOUGH = Clean({"sham": tuple(range(40)), "quirk": tuple(range(30))})


def test_conformal_p_by_hand() -> None:
    assert p_value(5.0, [1, 2, 3]) == 0.25
    assert p_value(2.0, [1, 2, 3]) == 0.75  # an equal score counts against
    assert p_value(0.0, []) == 1.0


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=12))
def test_adjustment_is_benjamini_hochberg(values: list[float]) -> None:
    named = {str(i): v for i, v in enumerate(values)}
    expected = false_discovery_control(values)
    found = adjusted(named, len(values))
    assert np.allclose([found[str(i)] for i in range(len(values))], expected)


def test_tests_that_gave_no_p_still_count() -> None:
    assert adjusted({"a": 0.01}, 5) == {"a": pytest.approx(0.05)}


@given(st.integers(1, 200))
def test_with_one_copy_fewer_nothing_could_be_found(tests: int) -> None:
    n = needed(tests)
    assert 1 / (n + 1) * tests <= 0.05 + 1e-12
    assert 1 / n * tests > 0.05 - 1e-12


def test_p_is_valid_under_exchangeability() -> None:
    draws = np.random.default_rng(0).normal(size=(2000, 40))
    p = np.array([p_value(row[0], row[1:]) for row in draws])
    for alpha in (0.05, 0.1, 0.25):
        assert (p <= alpha).mean() <= alpha + 3 * (alpha / 2000) ** 0.5


def test_each_verdict() -> None:
    scores = {"one": 100.0, "two": 38.5, "three": 1.0, "report": 5.0, "silent": None}
    clean = dict.fromkeys(scores, ENOUGH)
    found = {
        v.audit: v
        for v in judge(
            scores,
            {"silent": "it knows nothing"},
            clean,
            declared=("one", "two", "three"),
            strengths={"three": 0.4},
            located=frozenset({"one"}),
        )
    }
    assert found["one"].text == "FINDING (located)"
    assert found["two"].said == "FINDING (detected)"  # p = 2/71, twice of three tests: .042
    assert found["three"].text == "NO FINDING down to strength 0.40"
    assert found["report"].said == "ABSTAIN"
    assert found["silent"].text == "ABSTAIN (it knows nothing)"
    assert found["one"].by_stratum == {"sham": 1 / 41, "quirk": 1 / 31}


def test_too_few_copies_or_too_few_shams_abstain() -> None:
    few = Clean({"sham": (1.0, 2.0)})
    (verdict,) = judge({"a": 9.0}, {}, {"a": few}, declared=("a",))
    assert verdict.text == "ABSTAIN (2 clean copies; 19 needed)"
    assert verdict.score == 9.0
    unmatched = Clean({"sham": (1.0,), "quirk": tuple(map(float, range(30)))})
    (verdict,) = judge({"a": 99.0}, {}, {"a": unmatched}, declared=("a",))
    assert "matched shams" in verdict.text


def test_a_declared_audit_must_run() -> None:
    with pytest.raises(TomogramError, match="'b' was declared"):
        judge({"a": 1.0}, {}, {}, declared=("a", "b"))


@settings(max_examples=30)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.none() | st.floats(-9, 9), min_size=1),
    st.lists(st.floats(-9, 9), max_size=60),
)
def test_no_verdict_ever_says_clean(scores: dict[str, float | None], copies: list[float]) -> None:
    clean = {name: Clean({"sham": copies}) for name in scores}
    declared = [name for name in scores if name != "f"]
    for verdict in judge(scores, dict.fromkeys(scores, "x"), clean, declared=declared):
        words = verdict.text.lower().replace("clean copies", "")
        assert "clean" not in words
        assert "healthy" not in words
