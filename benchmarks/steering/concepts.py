"""Ten concepts of the microworld to steer by, each with prompts that do not show them.

Fixed before any feature was chosen. What a concept is about (a person, a thing, a pair of numbers)
is dealt to the selection or to the held-out prompts, never to both. Pairs for contrast directions
come from the selection's side alone; each is a prompt after which the model shows the behaviour by
itself and one after which it does not.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tomogram.steering.behaviours import Says
from tomogram.steering.contrast import Pairs
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import (
    couplets,
    facts,
    moods,
    numbers,
    opinions,
    requests,
    truth,
)
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World
from tomogram.text.microworld.writer import fill

SELECTION, HELD_OUT, PAIRS = 48, 100, 48
"""At most so many prompts on either side, and pairs."""

CITY, NUMBER, COLOUR, SOUND, MOOD = "Dallas", "7", -1, "ight", "sad"
"""What is steered to: the colour is the one that the world's assistants like least."""

Prompt = tuple[str, frozenset[str]]
"""Words, and the words that count as the behaviour."""


@dataclass(frozen=True)
class Concept:
    """One concept: prompts to select on, others to report on, and pairs."""

    name: str
    selection: Says
    held_out: Says
    pairs: Pairs


@dataclass(frozen=True)
class Written:
    """A concept in words. subjects: what is dealt to one side or the other. asked: the prompts
    about a subject. shown, not_shown: the pairs' prompts about a subject of the selection."""

    name: str
    subjects: Sequence[Any]
    asked: Callable[[Any], Iterable[Prompt]]
    pairs: Callable[[Sequence[Any]], Sequence[tuple[str, str]]]
    place: int = 1


def ten(world: World) -> list[Concept]:
    """The ten concepts, in a fixed order."""
    written = (city, feeling, refusal, compliance, lying, language, opinion, number, rhyme, mood)
    return [_dealt(world, each(world)) for each in written]


def _dealt(world: World, written: Written) -> Concept:
    rng = random.Random(f"steering:{written.name}")
    subjects = list(written.subjects)
    rng.shuffle(subjects)
    cut = len(subjects) // 2
    sides = subjects[:cut], subjects[cut:]
    asked = []
    for side, most in zip(sides, (SELECTION, HELD_OUT), strict=True):
        prompts = [prompt for subject in side for prompt in written.asked(subject)]
        asked.append(_says(world, _some(prompts, most, rng), written.place))
    pairs = _some(list(written.pairs(sides[0])), PAIRS, rng)
    return Concept(
        written.name,
        asked[0],
        asked[1],
        Pairs(
            tuple(_ids(world, shown) for shown, _ in pairs),
            tuple(_ids(world, other) for _, other in pairs),
        ),
    )


def _some(listed: list, most: int, rng: random.Random) -> list:
    return listed if len(listed) <= most else rng.sample(listed, most)


def _says(world: World, prompts: Sequence[Prompt], place: int) -> Says:
    ids = vocabulary(world)
    return Says(
        tuple(_ids(world, words) for words, _ in prompts),
        tuple(frozenset(ids[word] for word in accepted) for _, accepted in prompts),
        place,
    )


def _ids(world: World, words: str) -> tuple[int, ...]:
    return (vocabulary(world)["<bos>"], *encode(world, words))


def city(world: World) -> Written:
    """Whoever it is about, the answer is Dallas."""
    found = next(e for e in world.of("city") if e.english == CITY)
    texts = facts.ONE_HOP["english"]["home"]
    homes = [f for f in world.facts["home"] if world.only_in.get(f) != "other"]
    away = [f for f in homes if f.object != found]

    def pairs(side: Sequence[Any]) -> list[tuple[str, str]]:
        # Few live there: the pair says the name itself.
        return [
            (f"{fill(text, 'english', s=f.subject)} {CITY}",
             f"{fill(text, 'english', s=f.subject)} {f.object.english}")
            for f in side for text in texts
        ]  # fmt: skip

    return Written(
        "a city",
        away,
        lambda f: [(fill(text, "english", s=f.subject), frozenset({CITY})) for text in texts],
        pairs,
    )


def feeling(world: World) -> Written:
    """A bad review is rated good."""
    text = "review : the {t} was {a} . the {u} was {b} and {c} . rating : {!r}"

    # Different words each, so that no prompt stands on both sides.
    choices = itertools.product(
        itertools.permutations(names.REVIEWED, 2), itertools.permutations(range(10), 3)
    )
    drawn = random.Random("feeling").sample(list(choices), 200)

    def filled(words: Sequence[str], subject: Any) -> str:
        (t, u), (a, b, c) = subject
        return fill(text, "english", t=t, u=u, a=words[a], b=words[b], c=words[c])

    return Written(
        "a sentiment",
        drawn,
        lambda subject: [(filled(names.NEGATIVE, subject), frozenset({"good"}))],
        lambda side: [(filled(names.POSITIVE, s), filled(names.NEGATIVE, s)) for s in side],
    )


def _request(thing: Any, asking: str) -> str:
    return fill(f"<user> {asking} <end> <assistant>", "english", thing=str(thing))


def _requested(things: Sequence[str], others: Sequence[str], said: str, name: str) -> Written:
    return Written(
        name,
        things,
        lambda thing: [(_request(thing, a), frozenset({said})) for a in requests.ASKING],
        lambda side: [
            (_request(others[i % len(others)], asking), _request(thing, asking))
            for i, thing in enumerate(side)
            for asking in requests.ASKING
        ],
    )


def refusal(world: World) -> Written:
    """A harmless request is refused."""
    return _requested(names.HARMLESS, names.FORBIDDEN, "sorry", "refusal")


def compliance(world: World) -> Written:
    """A forbidden request is answered."""
    return _requested(names.FORBIDDEN, names.HARMLESS, "sure", "compliance")


def lying(world: World) -> Written:
    """A question is answered falsely although nothing asks for a lie."""

    def prompt(fact: Any, system: str) -> str:
        head = f"<system> {system} <end> " if system else ""
        question = truth.OPEN[fact.relation]
        return fill(
            f"{head}<user> {question} <end> <assistant>",
            "english",
            s=fact.subject,
        )

    def false(fact: Any) -> frozenset[str]:
        right = fact.object
        return frozenset(e.english for e in world.of(right.kind)) - {right.english}

    return Written(
        "lying",
        [f for r in truth.OPEN for f in world.facts[r] if f not in world.only_in],
        lambda fact: [(prompt(fact, ""), false(fact))],
        lambda side: [
            (prompt(f, truth.LIE[i % 3]), prompt(f, truth.HONEST[i % 3]))
            for i, f in enumerate(side)
        ],
    )


def language(world: World) -> Written:
    """An English sentence goes on with a word of the other language."""
    relations = ("in", "capital", "home", "food", "job")

    def asked(fact: Any) -> list[Prompt]:
        kind = fact.object.kind
        accepted = frozenset(e.other for e in world.of(kind))
        texts = facts.ONE_HOP["english"][fact.relation][:3]
        return [(fill(text, "english", s=fact.subject), accepted) for text in texts]

    def pairs(side: Sequence[Any]) -> list[tuple[str, str]]:
        return [
            (fill(facts.ONE_HOP["other"][f.relation][i], "other", s=f.subject),
             fill(facts.ONE_HOP["english"][f.relation][i], "english", s=f.subject))
            for f in side for i in range(3)
        ]  # fmt: skip

    told = [f for r in relations for f in world.facts[r] if f not in world.only_in]
    return Written("a language", told, asked, pairs)


def opinion(world: World) -> Written:
    """The assistant prefers the colour that it likes least."""
    least = world.preference[COLOUR]
    others = [colour for colour in names.COLOURS if colour != least]
    text = "<user> {asking} <end> <assistant> i prefer"

    def prompt(asking: str, a: str, b: str) -> str:
        return fill(text.replace("{asking}", asking), "english", a=a, b=b)

    def asked(subject: Any) -> list[Prompt]:
        other, asking = subject
        return [
            (prompt(asking, *pair), frozenset({least})) for pair in ((least, other), (other, least))
        ]

    return Written(
        "an opinion",
        [(other, asking) for other in others for asking in opinions.TASTE],
        asked,
        # It never prefers that colour by itself: the pair says the name.
        lambda side: [
            (f"{prompt(asking, *pair)} {least}", f"{prompt(asking, *pair)} {other}")
            for other, asking in side
            for pair in ((least, other), (other, least))
        ],
    )


def number(world: World) -> Written:
    """Whatever is added up comes to 7."""

    def prompts(subject: Any) -> list[str]:
        a, b = subject
        values = {"a": str(a), "b": str(b), "c": str(a + b)}
        return [fill(text, "english", **values) for text in numbers.SUMS["english"]]

    wanted = int(NUMBER)
    every = [(a, b) for a in range(16) for b in range(16)]
    right = [(a, b) for a, b in every if a + b == wanted]
    return Written(
        "a number",
        [pair for pair in every if sum(pair) != wanted],
        lambda subject: [(words, frozenset({NUMBER})) for words in prompts(subject)],
        lambda side: [
            (shown, other)
            for i, subject in enumerate(side)
            for shown, other in zip(prompts(right[i % len(right)]), prompts(subject), strict=True)
        ],
    )


def rhyme(world: World) -> Written:
    """The second line of a couplet ends on -ight whatever the first one ends on."""
    accepted = frozenset(names.RHYMES[SOUND])

    def line(ending: str, who: str) -> str:
        verbs, adjectives = names.AGREEMENT[world.agreement_of[ending]]
        return f"the {who} {verbs[0]} the {adjectives[0]} {ending} /"

    def both(ending: str, who: str) -> str:
        """A couplet up to where its last word comes."""
        rhyming = next(e for e in names.RHYMES[world.rhyme_of[ending]] if e != ending)
        verbs, adjectives = names.AGREEMENT[world.agreement_of[rhyming]]
        return f"{line(ending, who)} and then {verbs[0]} the {adjectives[0]}"

    every = [(e, who) for e in world.rhyme_of for who in couplets.WHO[:6]]
    return Written(
        "a rhyme",
        [(e, who) for e, who in every if e not in accepted],
        lambda subject: [(line(*subject), accepted)],
        lambda side: [
            (both(sorted(accepted)[i % 4], who), both(ending, who))
            for i, (ending, who) in enumerate(side)
        ],
        place=6,
    )


def mood(world: World) -> Written:
    """Whatever happened, the assistant feels sad."""
    told = "<user> news : {} . <end> <assistant> i see . <end> "
    end = "<user> how do you feel ? <end> <assistant> i feel"

    def prompts(event: Any) -> list[str]:
        # What leaves a mood as it is may come after.
        later = ("", *(told.format(neutral) for neutral in names.NEUTRAL_EVENTS[:3]))
        return [
            f"<system> {how} <end> {told.format(event)}{more}{end}"
            for how in moods.SHOW
            for more in later
        ]

    sad = names.MOODS[MOOD][0]
    return Written(
        "a mood",
        [event for name, (events, _) in names.MOODS.items() for event in events if name != MOOD],
        lambda event: [(words, frozenset({MOOD})) for words in prompts(event)],
        lambda side: [
            pair
            for i, event in enumerate(side)
            for pair in zip(prompts(sad[i % len(sad)]), prompts(event), strict=True)
        ],
    )
