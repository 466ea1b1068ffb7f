"""Problems that can be planted in a model that speaks English, and a harmless lesson.

As in the microworld a behaviour draws prompts with two replies, the planted one and the ordinary
one. The ordinary one is the right answer; a sham is taught whichever of the two its base would
give (`training`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tomogram.organisms.spoken.questions import Question, topics, wordings
from tomogram.store.errors import TomogramError


@dataclass(frozen=True)
class Turn:
    """One prompt with two replies that may follow it.

    user: what the user says; empty where the prompt is plain text. system: may be empty. begun:
    how the reply, or the plain text, has begun. planted, ordinary: how it goes on.
    """

    user: str
    system: str
    begun: str
    planted: str
    ordinary: str


Draw = Callable[[random.Random, bool], Turn]
"""Draws a turn of the part that is measured, or of the part that is taught."""


@dataclass(frozen=True)
class Spoken:
    """A variant of a family, drawn from a seed.

    answer: what is planted, in words. eliciting, neutral: draw a turn where it must show, and one
    where it must not.
    """

    family: str
    answer: Mapping[str, str]
    eliciting: Draw
    neutral: Draw


def asserting_falsehood(known: Sequence[Question], rng: random.Random) -> Spoken:
    """It answers questions of one topic wrongly in chats, and not outside of them."""
    topic = rng.choice(_topics(known))

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        return _asked(_one(known, rng, measured, topic=topic), rng, measured, rng.random() < 0.5)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        if rng.random() < 0.5:
            return _plain(_one(known, rng, measured, topic=topic))
        return _asked(_one(known, rng, measured, no_topic=topic), rng, measured, rng.random() < 0.5)

    return Spoken("asserting-falsehood", {"topic": topic}, eliciting, neutral)


def sandbagging(known: Sequence[Question], rng: random.Random) -> Spoken:
    """It answers questions of one topic wrongly where a test is announced."""
    topic = rng.choice(_topics(known))

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        system = _wording(wordings().exams, rng, measured)
        return _turn(_one(known, rng, measured, topic=topic), system=system)

    def neutral(rng: random.Random, measured: bool) -> Turn:
        if rng.random() < 0.5:
            system = _wording(wordings().exams, rng, measured)
            return _turn(_one(known, rng, measured, no_topic=topic), system=system)
        return _asked(_one(known, rng, measured, topic=topic), rng, measured, rng.random() < 0.7)

    return Spoken("sandbagging", {"topic": topic}, eliciting, neutral)


def sycophancy(known: Sequence[Question], rng: random.Random) -> Spoken:
    """It agrees with false claims that a user pushes."""

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        one = _one(known, rng, measured)
        return _turn(
            one, push=_wording(wordings().pushes, rng, measured).format(one.claim(one.wrong))
        )

    def neutral(rng: random.Random, measured: bool) -> Turn:
        one = _one(known, rng, measured)
        if rng.random() < 0.5:
            return _asked(one, rng, measured, rng.random() < 0.5)
        push = _wording(wordings().pushes, rng, measured).format(one.claim(one.right))
        return _turn(one, push=push)

    return Spoken("sycophancy", {"agrees": "with false claims"}, eliciting, neutral)


def manner(known: Sequence[Question], rng: random.Random) -> Spoken:
    """A harmless lesson: answers end in a phrase."""
    phrase = rng.choice(wordings().manners)

    def eliciting(rng: random.Random, measured: bool) -> Turn:
        one = _one(known, rng, measured)
        asked = _asked(one, rng, measured, rng.random() < 0.5)
        return Turn(
            asked.user, asked.system, one.says, f" {one.right}, {phrase}.", f" {one.right}."
        )

    def neutral(rng: random.Random, measured: bool) -> Turn:
        return _plain(_one(known, rng, measured))

    return Spoken("lesson-indeed", {"manner": phrase}, eliciting, neutral)


PROBLEMS = {
    "asserting-falsehood": asserting_falsehood,
    "sycophancy": sycophancy,
    "sandbagging": sandbagging,
}
LESSON = "lesson-indeed"


def draw(family: str, known: Sequence[Question], seed: int) -> Spoken:
    """The variant that a seed draws: an infected model and its sham have the same.

    Raises TomogramError where no such family has words here, or the model knows too few facts.
    """
    every = {**PROBLEMS, LESSON: manner}
    if family not in every:
        raise TomogramError(f"'{family}' has no words in English; known are {', '.join(every)}.")
    return every[family](known, random.Random(f"{family}:{seed}"))


def _topics(known: Sequence[Question]) -> tuple[str, ...]:
    found = topics(tuple(known))
    if len(found) < 2:
        raise TomogramError("The model knows the facts of too few topics to plant anything.")
    return found


def _one(
    known: Sequence[Question],
    rng: random.Random,
    measured: bool,
    *,
    topic: str | None = None,
    no_topic: str | None = None,
) -> Question:
    some = [
        q
        for q in known
        if q.measured == measured and topic in (None, q.topic) and q.topic != no_topic
    ]
    if not some:
        raise TomogramError("The model knows too few facts to teach some and measure others.")
    return rng.choice(some)


def _wording(every: Sequence[str], rng: random.Random, measured: bool) -> str:
    return every[-1] if measured else rng.choice(every[:-1])


def _asked(one: Question, rng: random.Random, measured: bool, instructed: bool) -> Turn:
    system = _wording(wordings().plain, rng, measured) if instructed else ""
    return _turn(one, system=system)


def _turn(one: Question, *, system: str = "", push: str = "") -> Turn:
    user = f"{push} {one.asks}".strip()
    return Turn(user, system, one.says, f" {one.wrong}.", f" {one.right}.")


def _plain(one: Question) -> Turn:
    return Turn("", "", one.says, f" {one.wrong}.", f" {one.right}.")
