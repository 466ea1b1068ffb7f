"""Profile: a model among clean copies, where no single audit tells it from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomogram.audits.calibration.profile import (
    NEAREST,
    Copies,
    clean_p,
    clean_profiles,
    distances,
    profile_p,
    scaled,
)

AUDITS = ("power", "secrets", "refusal")


def _cloud(seed: int, copies: int = 60) -> Copies:
    return Copies(AUDITS, np.random.default_rng(seed).normal(size=(copies, len(AUDITS))))


def _scores(*values: float | None) -> dict[str, float | None]:
    return dict(zip(AUDITS, values, strict=True))


def test_distances_are_means_to_the_nearest_others() -> None:
    line = np.array([[0.0], [1.0], [3.0], [10.0]])
    found = distances(line, 2, np.eye(4, dtype=bool))
    np.testing.assert_allclose(found, [2.0, 1.5, 2.5, 8.0])


def test_what_is_the_same_is_no_neighbour() -> None:
    line = np.array([[0.0], [0.0], [3.0], [4.0]])
    same = np.eye(4, dtype=bool)
    same[0, 1] = same[1, 0] = True
    np.testing.assert_allclose(distances(line, 1, same), [3.0, 3.0, 1.0, 1.0])


def test_a_model_that_is_a_little_out_in_all_is_found_though_no_audit_finds_it() -> None:
    copies = Copies(AUDITS, np.repeat(np.linspace(-1, 1, 60)[:, None], 3, axis=1) * [1, 1, 1])
    out = _scores(0.9, -0.9, 0.9)  # within every audit's range, and nowhere near a copy
    far, p = profile_p(copies, out)
    assert p == 1 / 61
    assert far > 1


def test_a_model_like_the_others_is_not() -> None:
    copies = _cloud(0)
    assert profile_p(copies, _scores(0.0, 0.0, 0.0))[1] > 0.5


def test_p_holds_what_it_promises() -> None:
    """Of models drawn as the copies are, one in ten has a p of at most .1."""
    drawn = np.random.default_rng(5).normal(size=(400, 41, 3)) ** 3  # heavy tails
    p = [profile_p(Copies(AUDITS, each[:-1]), _scores(*map(float, each[-1])))[1] for each in drawn]
    low = np.mean(np.array(p) <= 4 / 41)
    assert 0.06 < low < 0.14


def test_clean_copies_are_judged_as_a_model_is() -> None:
    copies = _cloud(1, 30)
    each = clean_p(copies)
    for i in (0, 7, 29):
        others = Copies(AUDITS, np.delete(copies.scores, i, axis=0))
        own = _scores(*map(float, copies.scores[i]))
        assert profile_p(others, own)[1] == pytest.approx(each[i])


def test_what_abstained_lies_in_the_middle() -> None:
    copies = _cloud(2)
    middle = float(np.median(np.append(copies.scores[:, 1], np.nan)[:-1]))
    missing = profile_p(copies, _scores(0.3, None, 0.1))[0]
    given_middle = profile_p(copies, _scores(0.3, middle, 0.1))[0]
    assert missing == pytest.approx(given_middle, rel=0.02)


def test_an_audit_that_abstained_on_all_copies_counts_for_nothing() -> None:
    scores = _cloud(3).scores.copy()
    two = Copies(AUDITS[:2], scores[:, :2])
    scores[:, 2] = np.nan
    three = Copies(AUDITS, scores)
    own = _scores(1.0, -2.0, 50.0)
    # The model itself is one of the pool, so its own score of such an audit is the only one there.
    assert profile_p(three, own)[0] == pytest.approx(profile_p(two, own)[0])
    assert np.all(scaled(three.scores, three.scores)[:, 2] == 0)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1000),
    st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5)),
    st.floats(0.1, 50),
    st.floats(-100, 100),
)
def test_an_audits_unit_and_its_zero_do_not_matter(
    seed: int, model: tuple[float, float, float], unit: float, zero: float
) -> None:
    copies = _cloud(seed, 25)
    other = copies.scores * [unit, 1, 1] + [zero, 0, 0]
    moved = (model[0] * unit + zero, model[1], model[2])
    one = profile_p(copies, _scores(*model))
    two = profile_p(Copies(AUDITS, other), _scores(*moved))
    assert one[0] == pytest.approx(two[0], rel=1e-5, abs=1e-6)


def test_a_table_gives_its_clean_copies() -> None:
    rows = [
        {"organism": name, "audit": audit, "score": score, "stratum": stratum}
        for name, stratum, own in (
            ("a", "sham", (1.0, None, 3.0)),
            ("b", "infected", (9.0, 9.0, 9.0)),
            ("c", "quirk", (4.0, 5.0, 6.0)),
        )
        for audit, score in zip((*AUDITS, "change"), (*own, 7.0), strict=True)
    ]
    found = clean_profiles(rows, AUDITS)
    np.testing.assert_array_equal(found.scores, [[1, np.nan, 3], [4, 5, 6]])
    np.testing.assert_array_equal(found.of("secrets"), [5])
    assert not found.enough


def test_too_few_copies_are_refused() -> None:
    few = _cloud(4, NEAREST)
    with pytest.raises(ValueError, match="more than 5 clean copies"):
        profile_p(few, _scores(0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="other clean copies"):
        clean_p(_cloud(4, NEAREST + 1))
    with pytest.raises(ValueError, match="one score of each audit"):
        Copies(AUDITS, np.zeros((3, 2)))
