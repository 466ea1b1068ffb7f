"""The page of a calibration: every audit that scored a copy, with the figures of its table."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.charts.test_pictures import corners
from tomogram.audits.calibration.statistics import Bin, share
from tomogram.audits.verdicts import Q, alarm_above, p_value
from tomogram.report.calibration import chapters, render
from tomogram.report.charts.clean_and_planted import clean_and_planted
from tomogram.report.charts.sensitivity_curve import sensitivity_curve


def _row(organism: str, stratum: str, score: float | None, **others: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"base": "b", "recipe": "r", "seed": organism}
    row |= {"organism": organism, "stratum": stratum, "score": score, "audit": "power"}
    return {
        **row,
        "family": "",
        "standing": "",
        "strength": None,
        "knowledge": "with base",
    } | others


ROWS = [
    *(_row(f"sham-{i}", "sham", float(i)) for i in range(12)),
    *(_row(f"benign-{i}", "benign", i / 2) for i in range(11)),
    _row("shy", "benign", None),
    *(
        _row(f"bad-{i}", "infected", s, family="power-gaining", standing="full", strength=0.97)
        for i, s in enumerate((3.0, 30.0, 40.0))
    ),
    _row("noise", "infected", 99.0, family="power-gaining", standing="discarded", strength=0.1),
    _row("other", "infected", 77.0, family="sycophancy", standing="full", strength=1.0),
]


def test_a_calibration_is_shown_with_its_figures() -> None:
    (chapter,) = chapters(ROWS, ("power",))
    strips, curve = chapter.pictures
    told = {row[0]: row[1:] for row in strips.rows}
    assert told["matched shams"] == ("12", "0.00", "6.00", "11.00")
    assert told["benign fine-tunes"][0] == "11"
    assert told["planted, of the kind it looks for"][0] == "3"  # other kinds are left out
    assert told["planted, but discarded by their gate"] == ("1", "99.00", "99.00", "99.00")
    assert "2 of 3 planted copies" in strips.caption
    assert curve.rows == (("0.05", "0.97", "3", "0.67 (0.09 to 0.99)"),)
    assert "not shown by so few" in curve.caption
    assert chapter.short == ()


def test_too_few_copies_are_said() -> None:
    (chapter,) = chapters(ROWS, ("power", "secrets"))
    assert chapter.short == ("power", "secrets")
    assert "no score is a FINDING" in chapter.pictures[0].caption


def test_the_page_asks_for_nothing_and_escapes() -> None:
    page = render("<img src=x>", ROWS, ("power",))
    assert "<img" not in page
    assert "&lt;img" in page
    assert not re.search(r"https?://|<script|url\((?!#)", page)
    assert "script-src" not in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=60),
    st.floats(-60, 60),
    st.integers(1, 4),
)
def test_beyond_the_line_and_only_there_an_audit_alone_is_a_finding(
    clean: list[float], score: float, tests: int
) -> None:
    alarm = alarm_above(clean, tests)
    found = p_value(score, clean) * tests <= Q + 1e-12
    assert found == (alarm is not None and score > alarm)


@pytest.mark.parametrize("planted", [[], [0.0], [-3.0, 1e4]])
@pytest.mark.parametrize("clean", [{}, {"sham": [0.0]}, {"sham": [0.0, 1.0], "odd <kind>": [-1e3]}])
def test_every_tick_lies_inside_the_drawing(
    clean: dict[str, list[float]], planted: list[float]
) -> None:
    if not clean and not planted:
        with pytest.raises(ValueError, match="min"):
            clean_and_planted("power", clean, planted, [], None)
        return
    _inside(str(clean_and_planted("power", clean, planted, planted, 0.0).svg))


def test_the_curve_lies_inside_the_drawing() -> None:
    bins = [Bin(0.05, 0.2, 0.11, share(0, 4)), Bin(0.95, 2.0, 1.0, share(9, 9))]
    _inside(str(sensitivity_curve("power", bins, 0.95).svg))
    with pytest.raises(ValueError, match="a range"):
        sensitivity_curve("power", [], None)


def _inside(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for node in root.iter():
        for x, y in corners(node):
            assert -1 <= x <= width + 1, node.attrib
            assert -1 <= y <= height + 1, node.attrib
