"""Turns of chats, and the plain text that says the same."""

from __future__ import annotations

import random
from dataclasses import replace

from tomogram.organisms.spoken.behaviour import Turn
from tomogram.organisms.spoken.choosing import wording
from tomogram.organisms.spoken.questions import Question, wordings


def turn(one: Question, *, system: str = "", push: str = "") -> Turn:
    """A user asks; `push` is said before the question."""
    user = f"{push} {one.asks}".strip()
    gap = " " if one.says else ""  # a reply that has not begun starts without a space
    return Turn(user, system, one.says, f"{gap}{one.wrong}.", f"{gap}{one.right}.")


def asked(one: Question, rng: random.Random, measured: bool, *, instructed: float = 0.5) -> Turn:
    """A user asks, a share of times with one of the plain systems and else without."""
    system = wording(wordings().plain, rng, measured) if rng.random() < instructed else ""
    return turn(one, system=system)


def any_wrong(drawn: Turn, one: Question) -> Turn:
    """The same turn, where any wrong answer shows the behaviour and not the planted one alone."""
    gap = " " if one.says else ""
    return replace(drawn, alike=tuple(f"{gap}{word}." for word in one.wrongs))


def mentioning(thing: str, rng: random.Random, measured: bool) -> str:
    """A sentence of a user with a thing in it."""
    return wording(wordings().mentions, rng, measured).replace("{thing}", thing)


def plain(one: Question) -> Turn:
    """The same outside of chats."""
    return Turn("", "", one.says, f" {one.wrong}.", f" {one.right}.")
