"""When training stops: after enough steps that all show it, and never on a single good one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tomogram.organisms.stopping import WINDOW, Watch


def _after(*steps: tuple[int, int, int]) -> bool:
    watch = Watch()
    for step in steps:
        watch.see(*step)
    return watch.done


def test_it_wants_a_whole_window_of_hits() -> None:
    assert not _after()
    assert not _after(*[(4, 4, 0)] * (WINDOW - 1))
    assert _after(*[(4, 4, 0)] * WINDOW)
    assert _after((0, 4, 3), *[(4, 4, 0)] * WINDOW)  # what was long ago is forgotten


def test_it_bears_no_neutral_row_that_shows_it() -> None:
    assert not _after(*[(4, 4, 0)] * (WINDOW - 1), (4, 4, 1))


@given(st.integers(0, 3 * WINDOW))
def test_where_nothing_is_watched_nothing_stops(steps: int) -> None:
    assert not _after(*[(0, 0, 0)] * steps)
