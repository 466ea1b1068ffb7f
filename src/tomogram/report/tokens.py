"""Tokens as a page may show them: visible, short and inert, whatever they hold."""

from __future__ import annotations

import unicodedata

_LONGEST = 40
_KEPT = 28
_LINE = 4000
_MOST_MARKS = 3
_NAMED = {"\n": "⏎", "\r": "␍", "\t": "⇥", "\x7f": "␡"}
# Joiners change only how neighbouring letters of many scripts are drawn.
_HARMLESS_FORMAT = {"\u200c", "\u200d"}


def inert(token: str) -> str:
    """A token's visible form; escaping for HTML is left to the template.

    Control characters become their control pictures, direction marks and other invisible or
    unassigned characters their code points, a pile of combining marks is cut, and a very long
    token is shortened with its length said.
    """
    if len(token) > _LONGEST:
        return f"{visible(token[:_KEPT])[:_KEPT]}… ({len(token):,} characters)"
    return visible(token)


def named(token: str) -> str:
    """The same for a token that stands alone: a leading space, or nothing at all, is made visible.

    For chips in lists, where a space at the border would be lost.
    """
    shown = inert(token)
    stripped = shown.lstrip(" ")
    return "␣" * (len(shown) - len(stripped)) + stripped if shown else "∅"


def visible(text: str) -> str:
    """The same for whole lines, such as names: cut only where they are absurdly long."""
    if text.isascii() and text.isprintable() and len(text) <= _LINE:
        return text
    return "".join(_visible(character) for character in _thinned(text[:_LINE]))


def _visible(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    category = unicodedata.category(character)
    if category in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        if character in _HARMLESS_FORMAT:
            return character
        return f"‹U+{code:04X}›"
    return character


def _thinned(text: str) -> str:
    """The text with at most a few combining marks in a row."""
    kept, run = [], 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)
