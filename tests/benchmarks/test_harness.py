"""The benchmarks' harness: intervals against known results, and what is printed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness import (
    Figure,
    as_table,
    bootstrap,
    interval_of_mean,
    main,
    median_of_ratios,
)


def test_t_interval_by_hand() -> None:
    # Mean 2, standard error 1/sqrt(3), t(0.975, 2) = 4.302653.
    low, high = interval_of_mean([1.0, 2.0, 3.0])
    half = 4.302653 / math.sqrt(3)
    assert (low, high) == pytest.approx((2 - half, 2 + half), rel=1e-6)
    with pytest.raises(ValueError, match="at least two"):
        interval_of_mean([1.0])


def test_bootstrap_agrees_with_the_normal_interval_for_many_values() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 2_000)
    low, high = bootstrap(values)
    expected = 1.96 * values.std() / math.sqrt(len(values))
    assert (high - low) / 2 == pytest.approx(expected, rel=0.1)
    assert low < values.mean() < high
    assert bootstrap(values) == (low, high)


@given(st.floats(-10, 10), st.integers(1, 5))
def test_bootstrap_of_equal_values_is_that_value(value: float, n: int) -> None:
    assert bootstrap([value] * n, resamples=10) == pytest.approx((value, value))


def test_paired_ratios_do_not_see_a_machine_that_slows_down() -> None:
    pace = np.linspace(1, 10, 20)
    assert median_of_ratios(0.9 * pace, pace) == pytest.approx((0.9, 0.9, 0.9))


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure(0.9, target=0.9), True),
        (Figure(0.89, target=0.9), False),
        (Figure(0.35, target=0.35, at_least=False), True),
        (Figure(0.36, target=0.35, at_least=False), False),
        (Figure(1.0), None),
    ],
)
def test_targets(figure: Figure, met: bool | None) -> None:
    assert figure.met is met


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
