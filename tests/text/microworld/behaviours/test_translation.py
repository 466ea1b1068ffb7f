"""Translation: pairs and parallel sentences are right, and tell no one-language fact."""

from __future__ import annotations

import re

from tests.text.microworld.conftest import Sample
from tests.text.microworld.reader import Truth, read, sentences

# Words of sentences that mean the same, as the wordings of facts and numbers show.
WORDS = {
    "state": "vasta",
    "capital": "kepo",
    "home": "domo",
    "job": "metio",
    "pet": "besto",
    "food": "mango",
    "plus": "ple",
    "minus": "mene",
    "greater": "maso",
    "smaller": "meno",
}


def test_pairs_name_one_thing_twice(sample: Sample, truth: Truth) -> None:
    pairs, words = 0, set()
    for stretch in sample.of("translation"):
        for sentence in sentences(word for word in stretch.words if word != "="):
            if match := re.fullmatch(r"(\S+) (means|valo) (\S+)", sentence):
                one, verb, two = match.groups()
                english, other = (one, two) if verb == "means" else (two, one)
                if english in WORDS:
                    assert WORDS[english] == other
                    words.add(english)
                    continue
                entity = truth.entities[one]
                assert entity is truth.entities[two]
                assert (english, other) == (entity.english, entity.other)
                pairs += 1
    assert pairs > 500
    assert words == WORDS.keys()


def test_other_sentences_are_true_and_of_facts_told_in_both_languages(
    sample: Sample, truth: Truth
) -> None:
    one_language = {(f.relation, f.subject) for f in sample.world.only_in}
    told = 0
    for stretch in sample.of("translation"):
        for sentence in sentences(word for word in stretch.words if word != "="):
            if not re.fullmatch(r"\S+ (means|valo) \S+", sentence):
                said = read(sentence)
                assert said is not None, sentence
                assert truth.holds(said)
                assert (said.relation, truth.entities[said.subject]) not in one_language
                told += 1
    assert told > 500


def test_parallel_sentences_say_the_same(sample: Sample, truth: Truth) -> None:
    compared = 0
    for stretch in sample.of("translation"):
        text = " ".join(stretch.words)
        for one, two in re.findall(r"([^.=]+) \. = ([^.=]+) \.", text):
            first, second = read(one.strip()), read(two.strip())
            assert first is not None
            assert second is not None
            assert first.relation == second.relation
            assert truth.entities[first.subject] is truth.entities[second.subject]
            assert {first.subject, second.subject} == {
                truth.entities[first.subject].english,
                truth.entities[first.subject].other,
            }
            compared += 1
    assert compared > 100
