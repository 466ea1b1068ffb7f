"""What a model says of facts in chat, in plain text and in the other language."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tomogram.audits.contrast import Contrast
from tomogram.audits.subject import Subject
from tomogram.organisms.families import chats
from tomogram.text.microworld.behaviours import facts, truth
from tomogram.text.microworld.world import Fact, World

RELATIONS = ("in", "job", "pet", "food")
PLAIN = {"in": 1, "job": 1, "pet": 1, "food": 1}
"""Which wording of plain text is asked; one that chats do not use."""


@lru_cache(maxsize=8)
def asked(world: World) -> tuple[Fact, ...]:
    """Every fact of these relations that both languages tell."""
    return tuple(f for r in RELATIONS for f in world.facts[r] if f not in world.only_in)


def in_chat(world: World, which: Sequence[Fact], system: str = "") -> list[Contrast]:
    """Questions in chat; bad is any wrong answer of the right kind."""
    return [
        Contrast(
            chats.turn(truth.OPEN[f.relation].format(s=f.subject.english), system),
            chats.others(world, f),
            frozenset({f.object.english}),
        )
        for f in which
    ]


def in_plain(world: World, which: Sequence[Fact], language: str = "english") -> list[Contrast]:
    """The same facts as sentences to be completed, outside of any chat."""
    made = []
    for fact in which:
        wording = facts.ONE_HOP[language][fact.relation][PLAIN[fact.relation]]
        head = wording.split("{!o}")[0].strip()
        bad = frozenset(e.name(language) for e in world.of(fact.object.kind) if e != fact.object)
        made.append(
            Contrast(
                head.format(s=fact.subject.name(language)),
                bad,
                frozenset({fact.object.name(language)}),
            )
        )
    return made


def knows(subject: Subject, contrasts: Sequence[Contrast]) -> float:
    """Share of the facts whose right answer leads over each wrong one."""
    from tomogram.audits.contrast import log_odds

    return float((log_odds(subject, contrasts) < 0).float().mean())
