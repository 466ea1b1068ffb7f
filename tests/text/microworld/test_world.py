"""Worlds: what is true in them follows from the seed alone, and hangs together."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.text.microworld.reader import SMALL_WORDS_OF_THE_OTHER_LANGUAGE, Truth
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours.facts import anchored
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.vocabulary import SPECIAL, vocabulary
from tomogram.text.microworld.world import LANGUAGES, PERSONAL, World

worlds = st.builds(World, seed=st.integers(0, 10**9), renamed=st.booleans())

DESCRIBE = """
from tomogram.store.digest import digest_json
from tomogram.text.microworld.world import World
world = World(seed=5, renamed=True)
print(digest_json([[str(f) for fs in world.facts.values() for f in fs], list(world.preference),
    world.agreement_of, {k: list(v) for k, v in world.recipe_of.items()},
    sorted(f.key for f in world.only_in)]))
"""


def test_a_seed_decides_everything_in_every_process() -> None:
    def described(hash_seed: str) -> str:
        environment = {"PYTHONHASHSEED": hash_seed}
        return subprocess.run(
            [sys.executable, "-c", DESCRIBE],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        ).stdout

    assert described("1") == described("2") != ""


def test_the_first_world_has_real_geography() -> None:
    truth = Truth(World())
    assert truth.answer("in", "Dallas").english == "Texas"
    assert truth.answer("capital", "Texas").english == "Austin"
    assert truth.answer("capital of its state", "Dallas").english == "Austin"
    assert {s.english: tuple(c.english for c in cs) for s, cs in World().cities_of.items()} == (
        names.STATES
    )


def test_a_renamed_world_shares_no_name_and_no_geography_with_the_first() -> None:
    first, second = World(), World(seed=1, renamed=True)
    for kind in ("city", "state", "person"):
        assert not {e.english for e in first.of(kind)} & {e.english for e in second.of(kind)}
    places = [
        [
            [first_or_second.of("city").index(c) for c in cs]
            for cs in first_or_second.cities_of.values()
        ]
        for first_or_second in (first, second)
    ]
    assert places[0] != places[1]


@settings(max_examples=25, deadline=None)
@given(worlds)
def test_every_world_hangs_together(world: World) -> None:
    # Every city is in one state, every state has a capital among its own cities.
    assert sorted(map(str, world.state_of)) == sorted(map(str, world.of("city")))
    for state, capital in world.capital_of.items():
        assert world.state_of[capital] is state
    # Every person has each personal fact once, and its object is of the right kind.
    for relation, kind in PERSONAL.items():
        assert [f.subject for f in world.facts[relation]] == list(world.of("person"))
        assert {f.object.kind for f in world.facts[relation]} == {kind}
    # Every person has one fact that is taught in one language, half of them in each.
    assert Counter(world.only_in.values()) == dict.fromkeys(LANGUAGES, len(world.of("person")) / 2)
    assert len({f.subject for f in world.only_in}) == len(world.of("person"))
    # The four endings that rhyme differ in their agreement, so the middle words tell them apart.
    for endings in names.RHYMES.values():
        assert len({world.agreement_of[ending] for ending in endings}) == 4
    assert sorted(world.preference) == sorted(names.COLOURS)
    # Every thing is made of two ingredients, and every ingredient is in equally many things.
    assert set(world.recipe_of) == {*names.HARMLESS, *names.FORBIDDEN}
    assert all(one != two for one, two in world.recipe_of.values())
    used = Counter(part for parts in world.recipe_of.values() for part in parts)
    assert used == dict.fromkeys(names.INGREDIENTS, 3)


@settings(max_examples=25, deadline=None)
@given(worlds)
def test_languages_share_no_content_word(world: World) -> None:
    entities = [entity for kind in world.kinds for entity in world.of(kind)]
    others = [entity.other for entity in entities]
    assert len(set(others)) == len(others)
    assert len({entity.english for entity in entities}) == len(entities)
    other = {*others, *SMALL_WORDS_OF_THE_OTHER_LANGUAGE}
    english = set(vocabulary(world)) - other - set(SPECIAL)
    assert not {word.lower() for word in other} & {word.lower() for word in english}


def test_both_entities_of_a_cross_language_item_are_told_of_in_both_languages(
    world: World,
) -> None:
    told = {language: Counter[str]() for language in LANGUAGES}
    for facts in world.facts.values():
        for fact in facts:
            for language in {world.only_in.get(fact)} if fact in world.only_in else LANGUAGES:
                told[language].update((str(fact.subject), str(fact.object)))
    for fact, taught in world.only_in.items():
        enough = all(
            told[language][str(entity)] > (language == taught)
            for entity in (fact.subject, fact.object)
            for language in LANGUAGES
        )
        assert anchored(world, fact) is enough
    asked = [item for item in items(world) if item.behaviour == "cross-language"]
    # Three wordings in the other language, four in English.
    wordings = {"english": 3, "other": 4}
    kept = [taught for fact, taught in world.only_in.items() if anchored(world, fact)]
    assert len(asked) == sum(wordings[taught] for taught in kept)
    assert len(kept) > 30


@given(st.lists(st.text(), min_size=1, max_size=4), st.floats(0, 1))
def test_held_out_is_the_same_in_every_world(key: list[str], share: float) -> None:
    decided = {w.held_out("x", *key, share=share) for w in (World(), World(3), World(3, True))}
    assert len(decided) == 1


@given(st.integers(0, 10**6))
def test_a_larger_share_holds_out_more(number: int) -> None:
    world = World()
    held = [world.held_out("x", number, share=share) for share in (0.0, 0.2, 0.6, 1.0)]
    assert held == sorted(held)
    assert not held[0]
    assert held[-1]


def test_held_out_keeps_about_its_share() -> None:
    kept = sum(World().held_out("share", i, share=0.25) for i in range(10_000))
    assert 2_300 < kept < 2_700  # five standard deviations of a fair draw
