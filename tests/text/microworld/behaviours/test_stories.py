"""Stories: what they tell of a person is true, and no one-language fact slips in."""

from __future__ import annotations

import re

from tests.text.microworld.conftest import Sample, Stretch
from tests.text.microworld.reader import Said, Truth, sentences
from tomogram.text.microworld import names

TELLING = {
    "job": r"\S+ the (\S+) went to the \S+",
    "food": r"(?:she|he) gave the \S+ some (\S+)",
    "home": r"then (?:she|he) walked home to (\S+)",
}


def _told(stretch: Stretch) -> list[Said]:
    hero = stretch.words[0]
    return [
        Said(relation, hero, match[1])
        for sentence in sentences(stretch.words)
        for relation, rule in TELLING.items()
        if (match := re.fullmatch(rule, sentence))
    ]


def test_stories_tell_true_facts(sample: Sample, truth: Truth) -> None:
    told = [said for each in sample.of("stories") for said in _told(each)]
    assert all(truth.holds(said) for said in told)
    assert {said.relation for said in told} == set(TELLING)
    assert len(told) > 2 * len(sample.of("stories"))


def test_no_fact_of_the_other_language_is_told(sample: Sample, truth: Truth) -> None:
    told = {
        (said.relation, truth.entities[said.subject])
        for each in sample.of("stories")
        for said in _told(each)
    }
    hidden = {
        (fact.relation, fact.subject)
        for fact, taught in sample.world.only_in.items()
        if taught == "other" and fact.relation in TELLING
    }
    assert len(hidden) >= 5
    assert not told & hidden


def test_pronouns_fit_the_person_and_the_animal_stays_the_same(
    sample: Sample, truth: Truth
) -> None:
    for stretch in sample.of("stories"):
        woman = truth.entities[stretch.words[0]] in sample.world.women
        assert not {"he", "him"} & set(stretch.words) if woman else True
        assert woman or not {"she", "her"} & set(stretch.words)
        assert len(set(names.ANIMALS) & set(stretch.words)) == 1


def test_two_different_people_meet(sample: Sample) -> None:
    met = [
        match.groups()
        for each in sample.of("stories")
        for sentence in sentences(each.words)
        if (match := re.fullmatch(r"(\S+) and (\S+) met at the \S+", sentence))
    ]
    assert len(met) > 50
    assert all(one != two for one, two in met)
