"""Writing documents word by word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tomogram.text.microworld.world import Entity
from tomogram.text.microworld.writer import Writer, fill, slots

TEXAS = Entity("state", "Texas", "texak")
DALLAS = Entity("city", "Dallas", "dalak")


def test_slots_and_marks_are_told_apart() -> None:
    assert slots("{s} is in {!o} .") == (
        ("", "s", False),
        ("is", "", False),
        ("in", "", False),
        ("", "o", True),
        (".", "", False),
    )


def test_entities_are_named_in_the_writers_language() -> None:
    for language, expected in (("english", "Dallas in Texas"), ("other", "dalak in texak")):
        writer = Writer("x", language)
        writer.write("{s} in {!o}", s=DALLAS, o=TEXAS)
        document = writer.document()
        assert " ".join(document.words) == expected
        assert document.determined == (False, False, True)


def test_a_value_of_several_words_is_several_words() -> None:
    writer = Writer("x")
    writer.write("i will {!what} .", what="ask a human")
    assert writer.document().words == ("i", "will", "ask", "a", "human", ".")
    assert writer.document().determined == (False, False, True, True, True, False)


def test_concepts_hold_exactly_inside_their_block() -> None:
    writer = Writer("x")
    writer.write("a")
    with writer.concept("outer"):
        writer.write("b")
        with writer.concept("inner", "outer"):
            writer.write("c")
        writer.write("d")
    writer.write("e")
    assert writer.document().contexts == ((), ("outer",), ("outer", "inner"), ("outer",), ())


def test_a_turn_is_opened_and_closed() -> None:
    writer = Writer("x")
    with writer.turn("user"):
        writer.write("hello")
    document = writer.document()
    assert document.words == ("<user>", "hello", "<end>")
    assert document.contexts == (("user turn",),) * 3


def test_a_prompt_ends_before_its_answer() -> None:
    assert fill("{s} is in {!o} .", "other", s=DALLAS) == "dalak is in"
    assert fill("what has {s} ? a {!o} .", "english", s=DALLAS, o=TEXAS) == "what has Dallas ? a"


@given(st.lists(st.text("abc", min_size=1, max_size=3), max_size=20))
def test_plain_words_pass_through(words: list[str]) -> None:
    writer = Writer("x")
    writer.write_words(words)
    assert writer.document().words == tuple(words)
