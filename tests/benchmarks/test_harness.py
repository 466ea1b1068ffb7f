"""The benchmarks' harness: intervals against known results, and what is printed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness import Figure, as_table, figure, main, ratio
from tomogram.store.estimates import estimate


def test_paired_ratios_do_not_see_a_machine_that_slows_down() -> None:
    pace = np.linspace(1, 10, 20)
    measured = ratio(list(0.9 * pace), list(pace), target=0.8)
    assert (measured.value, measured.low, measured.high) == pytest.approx((0.9, 0.9, 0.9))
    assert measured.met


def test_interval_of_the_median_by_hand() -> None:
    # Of ten values the 2nd and the 9th: P(Binomial(10, 1/2) <= 1) = 11/1024 < 0.025 a side.
    shuffled = [3.0, 9.0, 1.0, 7.0, 5.0, 10.0, 2.0, 8.0, 4.0, 6.0]
    measured = ratio(shuffled, [1.0] * 10)
    assert (measured.value, measured.low, measured.high) == (5.5, 2.0, 9.0)


def test_few_pairs_have_no_interval_and_unequal_ones_are_refused() -> None:
    assert ratio([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]) == Figure(2.0)
    with pytest.raises(ValueError, match="at least one pair"):
        ratio([], [])
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30))
def test_a_figure_of_an_estimate_has_its_interval(samples: list[float]) -> None:
    measured = figure(estimate(np.array(samples)), target=0.0)
    assert measured.value == pytest.approx(np.mean(samples))
    assert measured.low is not None
    assert measured.high is not None
    assert measured.low - 1e-9 <= measured.value <= measured.high + 1e-9


@pytest.mark.parametrize(
    ("case", "met"),
    [
        (Figure(0.9, target=0.9), True),
        (Figure(0.89, target=0.9), False),
        (Figure(0.35, target=0.35, at_least=False), True),
        (Figure(0.36, target=0.35, at_least=False), False),
        (Figure(1.0), None),
    ],
)
def test_targets(case: Figure, met: bool | None) -> None:
    assert case.met is met


def test_a_figure_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        Figure(math.nan)


def test_last_line_is_the_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[bool] = []

    def measure(quick: bool) -> dict[str, Figure]:
        print("working")
        seen.append(quick)
        return {"share": Figure(np.float32(0.5), 0.25, 0.75, 0.4), "loss": Figure(1.0)}

    main("trial", measure, ["--json", "--quick"])
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert seen == [True]
    assert printed["benchmark"] == "trial"
    assert printed["machine"]["cores"] >= 1
    assert printed["figures"] == {
        "loss": {"value": 1.0, "low": None, "high": None, "target": None, "met": None},
        "share": {"value": 0.5, "low": 0.25, "high": 0.75, "target": 0.4, "met": True},
    }


def test_table_shows_every_figure() -> None:
    table = as_table({"share": Figure(0.5, 0.25, 0.75, 0.4), "loss": Figure(2.0, target=1.0)})
    share, loss = table.splitlines()[1:]
    assert share.split() == ["share", "0.5", "0.25", "to", "0.75", "≥", "0.4", "met"]
    assert loss.split() == ["loss", "2", "≥", "1", "met"]
