"""Phrases: a label's rule in words, such as `on “ dog”, “ cat” and 4 more`."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from tomogram.features.labels import Label

_LONGEST = 40
_OPENING = {
    "current": "on",
    "previous": "after",
    "pair": "on",
    "next": "before",
    "context": "some time after",
}


def phrase(label: Label, spelling: Sequence[str]) -> str:
    """A label in words; `spelling` is the text of each token of the vocabulary.

    Tokens come from the model's vocabulary, which may hold anything, so control characters,
    direction marks and line ends are shown as escapes, and a very long token is cut.
    """
    quoted = [f"“{plain(''.join(spelling[token] for token in mark))}”" for mark in label.marks]
    hidden = label.n_marks - len(quoted)
    if hidden:
        quoted.append(f"{hidden} more")
    words = (
        quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {_last(hidden)} {quoted[-1]}"
    )
    return f"{_OPENING[label.kind]} {words}"


def _last(hidden: int) -> str:
    return "and" if hidden else "or"


def plain(text: str) -> str:
    """Text without anything invisible or active: escapes for control and format characters."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}…"
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character)[0] == "C" or character in "\u2028\u2029"
        else character
        for character in text
    )
