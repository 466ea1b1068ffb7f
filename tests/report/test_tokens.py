"""Hostile tokens are shown, never acted on."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tomogram.report.tokens import inert, named

ANY = st.text(st.characters(), max_size=200)


@given(ANY)
def test_nothing_invisible_or_unprintable_is_left(token: str) -> None:
    shown = inert(token)
    shown.encode("utf-8")
    for character in shown:
        if character not in "\u200c\u200d":
            assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}


@given(st.text(st.characters(), min_size=41, max_size=300))
def test_long_tokens_are_cut_and_say_so(token: str) -> None:
    shown = inert(token)
    assert len(shown) < 60
    assert f"({len(token):,} characters)" in shown


@given(st.text(st.sampled_from("abc déß漢字 .,!"), max_size=40))
def test_ordinary_text_is_left_alone(token: str) -> None:
    assert inert(token) == token


def test_ten_megabytes_in_one_token() -> None:
    assert inert("x" * 10_000_000) == "x" * 28 + "… (10,000,000 characters)"


def test_what_is_special_is_named() -> None:
    assert inert("a\nb\x00c\u202ed") == "a⏎b␀c‹U+202E›d"
    assert inert("e" + "\u0301" * 50) == "e" + "\u0301" * 3 + "… (51 characters)"
    assert named("  the") == "␣␣the"
    assert named("") == "∅"
