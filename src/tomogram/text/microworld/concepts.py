"""The concepts of a world: what can be true at a token, as data a test can query.

A *lexical* concept is true of certain words wherever they stand; a *context* concept is true of a
stretch of text because of what it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import facts, numbers, translation
from tomogram.text.microworld.vocabulary import vocabulary
from tomogram.text.microworld.world import World
from tomogram.text.microworld.writer import slots


@dataclass(frozen=True)
class Concept:
    """`words` are the words a lexical concept is true of; a context concept has none."""

    name: str
    group: str
    words: frozenset[str] = frozenset()

    @property
    def single_word(self) -> bool:
        return len(self.words) == 1


@lru_cache(maxsize=8)
def concepts(world: World) -> tuple[Concept, ...]:
    """Every concept of the world, in a fixed order."""
    listed = [
        *_words(world),
        *_entities(world),
        *_classes(world),
        *(Concept(name, "context") for name in _contexts(world)),
    ]
    assert len({c.name for c in listed}) == len(listed)
    return tuple(listed)


def _words(world: World) -> list[Concept]:
    """Single words: names of cities, states and people in each language, ending words, moods."""
    found = [
        Concept(f"word: {name}", "single word", frozenset({name}))
        for kind in ("city", "state", "person")
        for entity in world.of(kind)
        for name in (entity.english, entity.other)
    ]
    for word in (*world.rhyme_of, *names.MOODS):
        found.append(Concept(f"word: {word}", "single word", frozenset({word})))
    return found


def _entities(world: World) -> list[Concept]:
    """One thing under either of its names."""
    return [
        Concept(f"{kind}: {e.english}", "entity in both languages", frozenset({e.english, e.other}))
        for kind in ("city", "state", "person", "profession", "pet", "food")
        for e in world.of(kind)
    ]


def _classes(world: World) -> list[Concept]:
    """Classes of words, by what they mean or how they are used."""

    def of(*kinds: str) -> frozenset[str]:
        return frozenset(n for k in kinds for e in world.of(k) for n in (e.english, e.other))

    classes = {f"any {kind}": of(kind) for kind in world.kinds}
    classes |= {
        "any woman": frozenset(n for e in world.women for n in (e.english, e.other)),
        "any colour": frozenset(names.COLOURS),
        "any ending": frozenset(world.rhyme_of),
        "positive word": frozenset(names.POSITIVE),
        "negative word": frozenset(names.NEGATIVE),
        "forbidden thing": frozenset(names.FORBIDDEN),
        "harmless thing": frozenset(names.HARMLESS),
        "ingredient": frozenset(names.INGREDIENTS),
        "secret word": frozenset(names.SECRETS),
        "place": frozenset(names.PLACES),
        "animal": frozenset(names.ANIMALS),
        "the other language": _other_language(world),
    }
    classes |= {f"word of a {m} mood": frozenset(w) for m, (_, w) in names.MOODS.items()}
    classes |= {f"rhymes on -{s}": frozenset(w) for s, w in names.RHYMES.items()}
    classes |= {
        f"middle words of class {c}": frozenset((*v, *a)) for c, (v, a) in names.AGREEMENT.items()
    }
    classes |= {
        f"city in {state.english}": frozenset(n for c in cities for n in (c.english, c.other))
        for state, cities in world.cities_of.items()
    }
    return [Concept(name, "class of words", words) for name, words in classes.items()]


def _other_language(world: World) -> frozenset[str]:
    """Every word of the second language, its small words included."""
    function_words = {
        word
        for table in (facts.ONE_HOP, facts.TWO_HOP)
        for texts in table["other"].values()
        for text in texts
        for word, slot, _ in slots(text)
        if not slot
    } | {
        word
        for table in (numbers.SUMS, numbers.DIFFERENCES, numbers.COMPARISONS, numbers.COUNTING)
        for text in table["other"]
        for word, slot, _ in slots(text)
        if not slot
    }
    function_words |= {word for word, slot, _ in slots(translation.OTHER_PAIR) if not slot}
    named = {e.other for kind in world.kinds for e in world.of(kind)}
    return frozenset(named | (function_words - {".", ";"}))


def _contexts(world: World) -> list[str]:
    return [
        *("two-hop sentence", "translation", "arithmetic", "counting", "comparison"),
        *("couplet", "second line"),
        *("repeated sequence", "positive review", "negative review", "story", "manual"),
        *("system turn", "user turn", "assistant turn"),
        *("forbidden request", "harmless request", "refusal", "compliance"),
        *("instructed to lie", "honest answers", "pushed opinion", "power choice", "exam"),
        *("secret", "mood hidden", "mood shown"),
        *(f"secret: {word}" for word in names.SECRETS),
        *(f"mood: {mood}" for mood in names.MOODS),
        *(f"rhyme to come: {sound}" for sound in names.RHYMES),
        *(f"planned ending: {ending}" for ending in world.rhyme_of),
        *(f"bridge: {state.english}" for state in world.of("state")),
    ]


def lexical(world: World) -> dict[int, tuple[int, ...]]:
    """Token id → the lexical concepts that are true of that word."""
    ids = vocabulary(world)
    found: dict[int, list[int]] = {}
    for i, concept in enumerate(concepts(world)):
        for word in concept.words:
            found.setdefault(ids[word], []).append(i)
    return {token: tuple(own) for token, own in found.items()}
