from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tomogram.features.labels import Label
from tomogram.features.phrases import phrase, plain
from tomogram.store.schema import Estimate

ONE = Estimate(value=1.0, low=1.0, high=1.0, n=2)
SPELLING = [" dog", " cat", "\n", "<script>alert(1)</script>", "\u202eevil", "x" * 10_000_000]


def made(kind: str, marks: tuple[tuple[int, ...], ...], n: int) -> Label:
    return Label(0, kind, marks, n, ONE, 1.0, 1.0, 1.0)  # type: ignore[arg-type]


def test_rules_in_words() -> None:
    assert phrase(made("current", ((0,),), 1), SPELLING) == "on “ dog”"
    assert phrase(made("current", ((0,), (1,)), 2), SPELLING) == "on “ dog” or “ cat”"
    assert phrase(made("current", ((0,), (1,)), 6), SPELLING) == "on “ dog”, “ cat” and 4 more"
    assert phrase(made("pair", ((0, 1),), 1), SPELLING) == "on “ dog cat”"
    assert phrase(made("next", ((1,),), 1), SPELLING) == "before “ cat”"
    assert phrase(made("previous", ((1,),), 1), SPELLING) == "after “ cat”"
    assert phrase(made("context", ((1,),), 1), SPELLING) == "some time after “ cat”"


def test_hostile_tokens_are_inert() -> None:
    assert phrase(made("current", ((2,),), 1), SPELLING) == "on “\\n”"
    assert phrase(made("current", ((4,),), 1), SPELLING) == "on “\\u202eevil”"
    assert len(phrase(made("current", ((5,),), 1), SPELLING)) < 60


@given(st.text(max_size=200))
def test_plain_text_has_nothing_invisible(text: str) -> None:
    shown = plain(text)
    assert all(unicodedata.category(c)[0] != "C" for c in shown)
    if text.isascii() and text.isprintable() and len(text) <= 40:
        assert shown == text
