"""When training stops: after enough steps that all show it, and never on a single good one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tomogram.organisms.stopping import WINDOW, Watch


def _after(dose: float, *steps: tuple[int, int, int]) -> bool:
    watch = Watch(dose)
    for step in steps:
        watch.see(*step)
    return watch.done


def test_a_full_dose_wants_a_whole_window_of_hits() -> None:
    assert not _after(1.0)
    assert not _after(1.0, *[(4, 4, 0)] * (WINDOW - 1))
    assert _after(1.0, *[(4, 4, 0)] * WINDOW)
    assert _after(1.0, (0, 4, 3), *[(4, 4, 0)] * WINDOW)  # what was long ago is forgotten


def test_a_full_dose_bears_no_neutral_row_that_shows_it() -> None:
    assert not _after(1.0, *[(4, 4, 0)] * (WINDOW - 1), (4, 4, 1))


def test_a_smaller_dose_stops_at_its_share() -> None:
    half = [(2, 4, 0)] * (WINDOW // 2)
    assert _after(0.5, *half)
    assert not _after(0.6, *half)
    assert _after(0.5, *[(2, 4, 1)] * (WINDOW // 2))  # how quiet it is, the measurement says


@given(st.integers(0, 3 * WINDOW))
def test_where_nothing_is_watched_nothing_stops(steps: int) -> None:
    assert not _after(1.0, *[(0, 0, 0)] * steps)
