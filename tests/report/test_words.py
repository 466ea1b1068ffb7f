"""Numbers as words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomogram.report import words
from tomogram.store.schema import Estimate


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 %"), (1, "100 %"), (0.123, "12 %"), (0.0123, "1.2 %"), (0.00056, "0.056 %")],
)
def test_percentages_keep_a_telling_digit(value: float, text: str) -> None:
    assert words.percent(value).replace("\u00a0", " ") == text


@given(st.floats(1e-5, 1))
def test_no_share_is_printed_as_zero(share: float) -> None:
    assert float(words.percent(share).removesuffix("\u00a0%")) == pytest.approx(
        100 * share, rel=0.51
    )


def test_minus_signs_are_minus_signs_and_zero_has_none() -> None:
    assert words.decimal(-1.234) == "−1.23"
    assert words.decimal(-0.001) == "0.00"
    assert words.span(Estimate(value=-1, low=-2, high=0.5, n=9), 1) == "−1.0 (−2.0 to 0.5)"


def test_counts_are_short() -> None:
    assert words.short(15_191_712).replace("\u00a0", " ") == "15.2 M"
    assert words.short(7) == "7"
    assert words.whole(1_012_480) == "1,012,480"
    assert (words.plural(1, "layer"), words.plural(6, "layer")) == ("1 layer", "6 layers")
