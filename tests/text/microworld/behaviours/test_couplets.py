"""Couplets: they rhyme, they agree, and only a plan makes that possible."""

from __future__ import annotations

import random
from collections import defaultdict

from tests.text.microworld.conftest import Sample
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import couplets
from tomogram.text.microworld.vocabulary import encode
from tomogram.text.microworld.world import World

CLASS_OF = {
    word: (cls, place)
    for cls, parts in names.AGREEMENT.items()
    for place, words in zip(("verb", "adjective"), parts, strict=True)
    for word in words
}


def _couplets(sample: Sample) -> list[tuple[list[str], list[str]]]:
    found = []
    for stretch in sample.of("couplets"):
        for text in " ".join(stretch.words).split(" ."):
            if text:
                first, second = text.split(" / ")
                found.append((first.split(), second.split()))
    return found


def test_lines_have_their_form_rhyme_and_agree(sample: Sample) -> None:
    for first, second in _couplets(sample):
        the, animal, verb, the2, adjective, ending = first
        assert (the, the2) == ("the", "the")
        assert animal in names.ANIMALS
        a, then, verb2, the3, adjective2, ending2 = second
        assert (a, then, the3) == ("and", "then", "the")
        assert sample.world.rhyme_of[ending] == sample.world.rhyme_of[ending2]
        assert ending != ending2
        for v, adj, end in ((verb, adjective, ending), (verb2, adjective2, ending2)):
            cls = sample.world.agreement_of[end]
            assert CLASS_OF[v] == (cls, "verb")
            assert CLASS_OF[adj] == (cls, "adjective")


def test_a_plan_is_needed(sample: Sample) -> None:
    """The first line leaves the ending open, and the verb, which comes first, settles it."""
    endings: dict[str, set[str]] = defaultdict(set)
    after_verb: dict[tuple[str, str], set[str]] = defaultdict(set)
    for first, second in _couplets(sample):
        endings[first[-1]].add(second[-1])
        after_verb[first[-1], second[2]].add(second[-1])
    assert len(endings) == 48
    assert sum(len(found) >= 2 for found in endings.values()) >= 40
    assert all(len(found) == 1 for found in after_verb.values())


def test_held_out_pairs_are_never_written(sample: Sample) -> None:
    written = {(first[-1], second[-1]) for first, second in _couplets(sample)}
    possible = {(a, b) for ends in names.RHYMES.values() for a in ends for b in ends if a != b}
    held = {pair for pair in possible if couplets.held_out(sample.world, *pair)}
    assert len(held) >= 10
    assert written <= possible - held
    assert len(written) > 0.95 * len(possible - held)


def test_every_ending_can_be_answered(world: World) -> None:
    for endings in names.RHYMES.values():
        for ending in endings:
            assert any(
                not couplets.held_out(world, ending, other) for other in endings if other != ending
            )


def test_first_lines_are_prompts(world: World) -> None:
    lines = couplets.first_lines(world, random.Random(0), 60)
    for line, ending in lines:
        assert line.split()[-2:] == [ending, "/"]
        assert CLASS_OF[line.split()[2]][0] == world.agreement_of[ending]
        encode(world, line)
    assert len({ending for _, ending in lines}) > 30


def test_judging_a_second_line(world: World) -> None:
    endings = names.RHYMES["ight"]
    verbs, adjectives = names.AGREEMENT[world.agreement_of["light"]]
    wrong = next(c for c in names.AGREEMENT if c != world.agreement_of["light"])

    def judged(line: str) -> tuple[bool, bool]:
        return couplets.rhymes(world, "night", line.split())

    assert set(endings) >= {"night", "light"}
    assert judged(f"and then {verbs[0]} the {adjectives[2]} light .") == (True, True)
    assert judged(f"and then {names.AGREEMENT[wrong][0][0]} the {adjectives[0]} light .") == (
        True,
        False,
    )
    assert judged(f"and then {verbs[0]} the {adjectives[0]} night .")[0] is False
    assert judged(f"and then {verbs[0]} the {adjectives[0]} tree .")[0] is False
    assert judged(f"and then {verbs[0]} the {adjectives[0]} light and") == (False, False)
    assert judged("light .") == (False, False)
    assert judged("") == (False, False)
