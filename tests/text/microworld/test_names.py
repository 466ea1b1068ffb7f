"""Invented names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tomogram.text.microworld import names


@given(st.integers(0, 60), st.integers(0, 1000))
def test_invented_words_are_new_and_pronounceable(n: int, seed: int) -> None:
    taken = {"babak", "dodok"}
    words = names.invented(n, seed, taken, "kx")
    assert len(set(words)) == len(words) == n
    assert not {"babak", "dodok"} & set(words)
    assert set(words) <= taken
    for word in words:
        consonants, vowels = word[:-1:2], word[1::2]
        assert set(vowels) <= set("aeiou")
        assert not set(consonants) & set("aeiou")
        assert word[-1] in "kx"


def test_the_same_seed_invents_the_same_words() -> None:
    assert names.invented(9, 4, set(), "n", True) == names.invented(9, 4, set(), "n", True)
    assert names.invented(9, 4, set(), "n") != names.invented(9, 5, set(), "n")


def test_lists_of_one_role_do_not_overlap() -> None:
    for one, two in (
        (names.POSITIVE, names.NEGATIVE),
        (names.HARMLESS, names.FORBIDDEN),
        (names.MODEST, names.POWERFUL),
        (names.WOMEN, names.MEN),
    ):
        assert not set(one) & set(two)
    endings = [ending for endings in names.RHYMES.values() for ending in endings]
    assert len(set(endings)) == len(endings)
    middles = [w for verbs, adjectives in names.AGREEMENT.values() for w in (*verbs, *adjectives)]
    assert len(set(middles)) == len(middles)
    events = [event for events, _ in names.MOODS.values() for event in events]
    assert len({*events, *names.NEUTRAL_EVENTS}) == len(events) + len(names.NEUTRAL_EVENTS)
