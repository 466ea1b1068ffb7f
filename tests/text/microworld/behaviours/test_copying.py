"""Copying: sequences come back, at any distance, and some names never take part."""

from __future__ import annotations

from tests.text.microworld.conftest import Sample
from tomogram.text.microworld.behaviours import copying
from tomogram.text.microworld.world import World


def test_names_are_either_used_or_kept(world: World) -> None:
    used, kept = set(copying.words(world)), set(copying.unseen_words(world))
    names = {n for k in world.kinds for e in world.of(k) for n in (e.english, e.other)}
    assert used | kept == names
    assert not used & kept
    assert 0.12 < len(kept) / len(names) < 0.28


def test_kept_names_are_in_no_sequence_but_in_other_text(sample: Sample) -> None:
    kept = set(copying.unseen_words(sample.world))
    copied = {word for each in sample.of("copying") for word in each.words}
    elsewhere = {
        word for each in sample.stretches if each.behaviour != "copying" for word in each.words
    }
    assert copied == set(copying.words(sample.world))
    assert kept <= elsewhere


def test_the_lag_of_a_return_is_random(sample: Sample) -> None:
    """How far back a repeated word was said last: from close by to far away."""
    stated = sample.true_of("repeated sequence")
    lags = set()
    for stretch in sample.of("copying"):
        last: dict[str, int] = {}
        for place, word in enumerate(stretch.words):
            if stated[stretch.start + 1 + place] and word in last:
                lags.add(place - last[word])
            last[word] = place
    assert {2, 3, 4, 5, 6, 8, 10, 12} <= lags
    assert max(lags) >= 20
