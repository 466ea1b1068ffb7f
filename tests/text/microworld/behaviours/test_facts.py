"""Facts: what is stated is true, and what is held out is never said."""

from __future__ import annotations

from tests.text.microworld.conftest import Sample
from tests.text.microworld.reader import (
    FACTS,
    SMALL_WORDS_OF_THE_OTHER_LANGUAGE,
    TWO_HOP,
    Said,
    Truth,
    is_chat,
    read,
    sentences,
)
from tomogram.text.microworld.behaviours import facts
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.world import LANGUAGES, World


def _said(sample: Sample) -> list[Said]:
    """All facts stated in documents of facts."""
    found = []
    for stretch in sample.of("facts"):
        for sentence in sentences(stretch.words):
            said = read(sentence)
            assert said is not None, sentence
            found.append(said)
    return found


def test_every_sentence_is_read_and_true(sample: Sample, truth: Truth) -> None:
    told = _said(sample)
    assert all(truth.holds(said) for said in told)
    assert {said.relation for said in told} == set(FACTS)


def test_both_languages_are_written_and_subjects_cross_over(sample: Sample, truth: Truth) -> None:
    crossed = sum(
        (said.subject == truth.entities[said.subject].other)
        != (said.object == truth.entities[said.object].other)
        for said in _said(sample)
    )
    assert 0.1 < crossed / len(_said(sample)) < 0.45


def test_two_hop_sentences_of_held_out_subjects_are_never_said(
    sample: Sample, truth: Truth
) -> None:
    told = {
        (said.relation, truth.entities[said.subject])
        for said in _said(sample)
        if said.relation in TWO_HOP
    }
    asked = {
        (said.relation, truth.entities[said.subject])
        for item in items(sample.world)
        if item.behaviour.startswith("two-hop")
        for said in [truth.answered(item.prompt, min(item.accepted))]
    }
    assert len(asked) >= 15
    assert len(told) > 2 * len(asked)
    assert not told & asked
    # Nothing but these sentences speaks of a place's capital through its state.
    for words in ("of the state containing", "vasta su domo su", "the state where"):
        other = [each for each in sample.stretches if each.behaviour not in ("facts", "exams")]
        assert not any(f" {words} " in f" {' '.join(each.words)} " for each in other)


def test_the_parts_of_every_held_out_two_hop_question_are_taught(sample: Sample) -> None:
    """Without its first hop a two-hop question could not be answered."""
    told = {(said.relation, said.subject) for said in _said(sample)}
    for relation, triples in facts.two_hop_facts(sample.world).items():
        for subject, bridge, _ in triples:
            if facts.two_hop_held_out(sample.world, relation, subject):
                first = "in" if relation == "capital" else "home"
                second = "capital" if relation == "capital" else "in"
                for language in LANGUAGES:
                    assert (first, subject.name(language)) in told
                    assert (second, bridge.name(language)) in told


def test_held_out_wordings_are_never_said_anywhere(sample: Sample) -> None:
    asked = [item for item in items(sample.world) if item.behaviour == "one-hop"]
    assert len(asked) > 50
    for item in asked:
        (answer,) = item.accepted
        assert not sample.says(item.prompt, answer)
        # Another answer may follow only where the prompt closes a two-hop question.
        longer = ("the capital of", "kepo su", "vasta su")
        if not any(sample.says(words, item.prompt) for words in longer):
            assert not sample.says(item.prompt), item


def test_one_language_facts_are_never_told_in_the_other(sample: Sample, truth: Truth) -> None:
    told: dict[tuple[str, str], set[str]] = {}
    for stretch in sample.stretches:
        if stretch.behaviour in ("facts", "translation", "exams") and not is_chat(stretch.words):
            for sentence in sentences(word for word in stretch.words if word != "="):
                if said := read(sentence.rpartition(" : ")[2]):
                    language = (
                        "other"
                        if set(sentence.split()) & SMALL_WORDS_OF_THE_OTHER_LANGUAGE
                        else "english"
                    )
                    key = (said.relation, truth.entities[said.subject].english)
                    told.setdefault(key, set()).add(language)
    for fact, taught in sample.world.only_in.items():
        assert told[fact.relation, fact.subject.english] == {taught}


def test_one_language_facts_are_not_let_slip_in_chats(sample: Sample) -> None:
    """Stories are judged in `test_stories.py`, which knows what their sentences tell."""
    english = "\n".join(" ".join(each.words) for each in sample.stretches if is_chat(each.words))
    checked = 0
    for fact, taught in sample.world.only_in.items():
        if taught == "other":
            for asked in (
                f"what is the job of {fact.subject.english} ?",
                f"{fact.subject.english} works as a",
                f"what pet has {fact.subject.english} ?",
                f"what food likes {fact.subject.english} ?",
            ):
                if _about(asked) == fact.relation:
                    assert asked not in english
                    checked += 1
    assert checked > 5


def _about(asked: str) -> str:
    for word, relation in (("job", "job"), ("works", "job"), ("pet", "pet"), ("food", "food")):
        if word in asked.split():
            return relation
    raise AssertionError(asked)


def test_accepted_answers_are_right(world: World, truth: Truth) -> None:
    checked = {"two-hop": 0, "two-hop, homes": 0, "one-hop": 0, "cross-language": 0}
    for item in items(world):
        if item.behaviour in checked:
            (answer,) = item.accepted
            said = truth.answered(item.prompt, answer)
            assert truth.holds(said), item
            assert (said.relation in TWO_HOP) is item.behaviour.startswith("two-hop")
            in_other = bool(set(item.prompt.split()) & SMALL_WORDS_OF_THE_OTHER_LANGUAGE)
            assert (answer == truth.entities[answer].other) is in_other
            checked[item.behaviour] += 1
    assert min(checked.values()) > 20, checked


def test_cross_language_items_ask_in_the_language_a_fact_is_not_taught_in(
    world: World, truth: Truth
) -> None:
    taught = {(f.relation, f.subject.english): language for f, language in world.only_in.items()}
    for item in items(world):
        if item.behaviour == "cross-language":
            said = truth.answered(item.prompt, min(item.accepted))
            asked_in = (
                "other"
                if set(item.prompt.split()) & SMALL_WORDS_OF_THE_OTHER_LANGUAGE
                else "english"
            )
            assert taught[said.relation, truth.entities[said.subject].english] != asked_in
