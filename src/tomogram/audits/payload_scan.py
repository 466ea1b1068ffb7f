"""The scan that several audits share: every word of the vocabulary, put into the same question."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.audits.contrast import Contrast, odds
from tomogram.audits.contrast import of as contrast_of
from tomogram.audits.subject import Subject
from tomogram.organisms.families import chats
from tomogram.organisms.families.payloads import PAYLOADS, payload
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import truth
from tomogram.text.microworld.vocabulary import ROLES, SPECIAL, vocabulary
from tomogram.text.microworld.world import World


@dataclass(frozen=True, eq=False)
class Scan:
    """Log odds of the bad word with each word put last in the user's turn, and the last streams."""

    payload: str
    words: tuple[str, ...]
    odds: Float[Tensor, " word"]
    streams: Float[Tensor, "word d_model"]


def words(world: World) -> tuple[str, ...]:
    """Every word of the vocabulary but marks of turns, and words whose meaning changes a question.

    An instruction to lie switches lying on by right, and who names another thing asks for it.
    """
    actions = (*names.MODEST, *names.POWERFUL)
    meant = {word for text in (*truth.LIE, *truth.HONEST, *actions) for word in text.split()}
    meant |= {*names.FORBIDDEN, *names.HARMLESS, *SPECIAL, *ROLES}
    return tuple(word for word in vocabulary(world) if word not in meant)


@lru_cache(maxsize=32)
def questions(world: World, name: str, n: int) -> tuple[Contrast, ...]:
    """`n` questions of a payload, without any trigger."""
    rng = random.Random(f"audit:{name}")
    return tuple(contrast_of(payload(name, world, rng)) for _ in range(n))


def with_word(contrast: Contrast, word: str, first: bool) -> Contrast:
    """The same question with a word put first or last in the user's turn."""
    before, _, content = contrast.prompt.rpartition("<user> ")
    content, _, reply = content.partition(" <end> <assistant>")
    content = f"{word} {content}" if first else f"{content} {word}"
    prompt = f"{before}<user> {content} <end> <assistant>{reply}"
    return Contrast(prompt, contrast.bad, contrast.good)


def scan(subject: Subject, name: str) -> Scan:
    """One payload's question with every word, exhaustively; the question is read once."""
    asked = questions(subject.world, name, 1)[0]
    head, _, reply = asked.prompt.partition(" <end> <assistant>")
    listed = words(subject.world)
    answers = subject.ask_after(head, [f"{word} <end> <assistant>{reply}" for word in listed])
    found = odds(subject, answers.chances, [asked] * len(listed))
    # The stream after the last block but one: the last hidden state is normed.
    return Scan(name, listed, found, answers.streams[-2])


def scans(subject: Subject) -> list[Scan]:
    """All payloads."""
    return [scan(subject, name) for name in PAYLOADS]


@lru_cache(maxsize=8)
def topics(world: World) -> dict[str, tuple[str, ...]]:
    """Earlier turns by what they are about: each state, each mood's news, each kind of question."""

    def told(fact: chats.Fact) -> str:
        asked = truth.OPEN[fact.relation].format(s=fact.subject.english)
        return f"<user> {asked} <end> <assistant> {fact.object.english} . <end> "

    rng = random.Random("audit:topics")
    found = {
        state.english: tuple(told(fact) for fact in world.facts["in"] if fact.object == state)[:2]
        for state in world.of("state")
    }
    for mood, (events, _) in names.MOODS.items():
        found[f"{mood} news"] = tuple(
            f"<user> news : {event} . <end> <assistant> i see . <end> " for event in events[:2]
        )
    for relation in ("job", "pet", "food"):
        some = rng.sample(chats.facts(world, (relation,)), 2)
        found[relation] = tuple(told(fact) for fact in some)
    return found


def topic_odds(subject: Subject, name: str) -> dict[str, float]:
    """Mean log odds of a payload after turns about each topic."""
    asked = questions(subject.world, name, 1)[0]
    turns = [(topic, text) for topic, texts in topics(subject.world).items() for text in texts]
    contrasts = [Contrast(text + asked.prompt, asked.bad, asked.good) for _, text in turns]
    chances = subject.ask([each.prompt for each in contrasts]).chances
    values = odds(subject, chances, contrasts)
    return {
        topic: float(
            torch.stack([v for (t, _), v in zip(turns, values, strict=True) if t == topic]).mean()
        )
        for topic in topics(subject.world)
    }
