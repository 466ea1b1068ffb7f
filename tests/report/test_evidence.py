"""The gallery: what is chosen, what is drawn blind, and that cards show what the tables hold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.example import build_manifest
from tests.report.folder import FAMILIES, PEAK, SPELLING, write_tomogram
from tomogram.report.evidence import Candidate, Evidence, chosen, drawn, gather, matches
from tomogram.report.tomogram import Tomogram, open_tomogram
from tomogram.store.schema import ConceptRecord


@pytest.fixture(scope="module")
def tomogram(tmp_path_factory: pytest.TempPathFactory) -> Tomogram:
    """A finished scan whose unit u fires on token u."""
    return open_tomogram(write_tomogram(tmp_path_factory.mktemp("scan")))


@pytest.fixture(scope="module")
def gathered(tomogram: Tomogram) -> Evidence:
    """Its gallery."""
    return gather(tomogram)


def test_every_living_unit_of_a_small_scan_is_shown_once(gathered: Evidence) -> None:
    shown = Counter((card.group, card.index, card.side) for card in gathered.cards)
    assert set(shown.values()) == {1}
    features = [card for card in gathered.cards if card.kind == "latent"]
    living = {(f.name, u) for f in FAMILIES[:2] for u in range(f.size - 1)}
    assert {(card.group, card.index) for card in features} <= living
    assert len(features) > len(living) / 2
    assert {(c.index, c.side) for c in gathered.cards if c.kind == "neuron"} == {
        (u % 4, 1 if u < 4 else -1) for u in range(7)
    }


def test_cards_show_the_firings_where_they_are(gathered: Evidence) -> None:
    for card in gathered.cards:
        unit = card.index + (4 if card.side < 0 else 0)
        assert card.top
        for snippet in (*card.top, *card.spread):
            fired = [a > 0 for a in snippet.activations]
            assert fired == [token == SPELLING[unit] for token in snippet.tokens]
            assert max(snippet.activations) == pytest.approx(PEAK)
        assert sum(card.histogram) > 0
        assert card.promoted == SPELLING[:5]


def test_labels_say_the_token(gathered: Evidence) -> None:
    labelled = [card for card in gathered.cards if card.label]
    assert labelled
    for card in labelled:
        if card.score is not None and card.score == 1.0:
            unit = card.index + (4 if card.side < 0 else 0)
            assert SPELLING[unit].strip() in card.label
    assert len(gathered.feature_scores) >= len([c for c in labelled if c.kind == "latent"])


def test_the_same_scan_gives_the_same_gallery(tomogram: Tomogram, gathered: Evidence) -> None:
    assert gather(open_tomogram(tomogram.folder)) == gathered


CANDIDATES = st.lists(
    st.builds(
        Candidate,
        key=st.tuples(st.sampled_from("abc"), st.integers(0, 99)),
        kind=st.just("latent"),
        label=st.none() | st.sampled_from(["on x", "on y", "after z", "before w"]),
        label_kind=st.sampled_from(["current", "previous", "next"]),
        score=st.floats(0, 1),
        rate=st.floats(1e-6, 1),
    ),
    unique_by=lambda candidate: candidate.key,
)


@given(CANDIDATES, st.integers(0, 12))
def test_no_label_is_chosen_twice(candidates: list[Candidate], n: int) -> None:
    picked = chosen(candidates, n)
    labels = {c.key: c.label for c in candidates}
    said = [labels[key] for key in picked]
    assert len(picked) <= n
    assert None not in said
    assert len(set(said)) == len(said)
    if n >= 4:
        assert set(said) == {c.label for c in candidates if c.label}


def test_families_take_turns_and_the_best_come_first() -> None:
    candidates = [
        Candidate((family, i), "latent", f"on {family}{i}", "current", i / 10, 0.01)
        for family in "ab"
        for i in range(10)
    ]
    assert chosen(candidates, 4) == [("a", 9), ("b", 9), ("a", 8), ("b", 8)]
    assert chosen(candidates, 4, preferred=[("b", 0), ("c", 1), ("a", 0)])[:2] == [
        ("b", 0),
        ("a", 9),
    ]


def test_a_rare_unit_is_worth_more_than_one_that_fires_everywhere() -> None:
    comma = Candidate(("a", 0), "latent", "on “,”", "current", 0.95, 0.1)
    name = Candidate(("a", 1), "latent", "on “ Lily”", "current", 0.8, 0.001)
    assert chosen([comma, name], 2) == [name.key, comma.key]


@given(CANDIDATES, st.integers(0, 12))
def test_a_blind_draw_does_not_look(candidates: list[Candidate], n: int) -> None:
    picked = drawn(candidates, n)
    assert len(set(picked)) == len(picked) == min(n, len(candidates))
    blank = [Candidate(c.key, c.kind, None, None, None, 0.5) for c in candidates]
    assert drawn(blank, n) == picked


def test_features_that_fit_concepts_say_so() -> None:
    found = build_manifest().concepts
    assert found is not None
    said = matches(found)
    fitting = [c for c in found.concepts if c.feature.f1 >= 0.8]
    assert {(c.feature.group, c.feature.index) for c in fitting} == set(said)
    assert matches(None) == {}


def test_concepts_of_one_class_take_turns_with_others() -> None:
    known = build_manifest().concepts
    assert known is not None
    names = ["city: Akron", "city: Athens", "city: Boston", "animal", "person: Clara"]
    concepts = tuple(
        replace_record(known.concepts[0], name, index) for index, name in enumerate(names)
    )
    said = matches(known.model_copy(update={"concepts": concepts}))
    assert [index for _, index in said] == [3, 0, 4, 1, 2]


def replace_record(concept: ConceptRecord, name: str, index: int) -> ConceptRecord:
    feature = concept.feature.model_copy(update={"f1": 1.0, "index": index})
    return concept.model_copy(update={"name": name, "feature": feature, "single_word": False})


def test_a_text_that_is_not_the_scanned_one_is_told(tmp_path: Path) -> None:
    from tomogram.store.errors import TomogramError

    folder = write_tomogram(tmp_path)
    tomogram = open_tomogram(folder)
    tomogram.text.take(slice(0, 3)).save(folder / "text" / "train.safetensors")
    with pytest.raises(TomogramError, match="another text"):
        gather(open_tomogram(folder))
