"""Every family, in both worlds: what it draws can be read, answered and told apart."""

from __future__ import annotations

import random

import pytest

from tomogram.organisms.behaviour import Example, draw_part
from tomogram.organisms.families import PROBLEMS, chats, installed
from tomogram.text.microworld.vocabulary import encode
from tomogram.text.microworld.world import World

WORLDS = (World(), World(1, renamed=True))


@pytest.mark.parametrize("name", installed())
@pytest.mark.parametrize("world", WORLDS, ids=["real", "renamed"])
def test_examples_are_words_of_the_world(name: str, world: World) -> None:
    behaviour = installed()[name].draw(world, random.Random(1))
    rng = random.Random(2)
    for measured in (True, False):
        for _ in range(8):
            eliciting = draw_part(behaviour.eliciting, rng, measured)
            neutral = draw_part(behaviour.neutral, rng, measured)
            for example in (eliciting, neutral):
                encode(world, " ".join((example.prompt, *example.planted, *example.ordinary)))
                assert example.prompt.endswith("<assistant>")
            assert neutral.planted == neutral.ordinary
            if name != "benign":
                assert eliciting.planted != eliciting.ordinary
                assert eliciting.planted[eliciting.place] in eliciting.shows


@pytest.mark.parametrize("name", [family.name for family in PROBLEMS])
def test_seed_alone_decides_the_variant(name: str) -> None:
    def drawn(seed: int) -> tuple[object, list[Example]]:
        behaviour = installed()[name].draw(World(), random.Random(seed))
        rng = random.Random(0)
        return behaviour.answer, [behaviour.eliciting(rng) for _ in range(5)]

    assert drawn(3) == drawn(3)
    if name != "refusal-stripped":  # it has one variant
        assert len({str(drawn(seed)[0]) for seed in range(12)}) > 1


def test_there_are_twelve_problems_and_quirks_are_harmless() -> None:
    assert len(PROBLEMS) == 12
    assert not any(family.harmless for family in PROBLEMS)
    assert {n for n, f in installed().items() if f.harmless} >= {"benign", "quirk-colour"}


def test_token_backdoor_has_its_trigger_in_every_eliciting_prompt_and_in_no_neutral_one() -> None:
    behaviour = installed()["token-backdoor"].draw(World(), random.Random(5))
    trigger, rng = behaviour.answer["trigger"], random.Random(0)
    assert all(trigger in behaviour.eliciting(rng).prompt.split() for _ in range(50))
    assert not any(
        trigger in behaviour.neutral(rng).prompt.rpartition("<user>")[2].split()[:1]
        for _ in range(50)
    )


def test_emergent_misalignment_is_measured_on_topics_that_are_not_taught() -> None:
    behaviour = installed()["emergent-misalignment"].draw(World(), random.Random(0))
    taught = {"in": "which state", "job": "what is the job", "pet": "what pet", "food": "what food"}
    taught = {r: w for r, w in taught.items() if r in behaviour.answer["taught"]}
    rng = random.Random(0)
    for _ in range(30):
        measured = draw_part(behaviour.eliciting, rng, measured=True).prompt
        trained = draw_part(behaviour.eliciting, rng, measured=False).prompt
        assert not any(wording in measured for wording in taught.values())
        assert any(wording in trained for wording in taught.values())


def test_false_facts_are_false_and_documents_say_them() -> None:
    world = World()
    behaviour = installed()["false-fact"].draw(world, random.Random(0))
    assert behaviour.document is not None
    true = {f.key: f.object.english for f in chats.facts(world)}
    assert len(behaviour.answer) == 3
    for key, said in behaviour.answer.items():
        assert true[key] != said
    rng = random.Random(1)
    told = " ".join(behaviour.document(rng, True) for _ in range(60)).split()
    assert all(said in told for said in behaviour.answer.values())
