"""The training of known circuits: losses fall, resuming gives the same bits, swaps are exact."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.circuits import train as training
from benchmarks.circuits.recipes import RECIPES, repeating
from tomogram.circuits.known import siit
from tomogram.circuits.known.small import untrained
from tomogram.models.load import wrap


def test_sequences_repeat_after_their_lag() -> None:
    tokens, known = repeating(20, torch.Generator().manual_seed(0))
    for row, own in zip(tokens.tolist(), known.tolist(), strict=True):
        places = [place for place, asked in enumerate(own) if asked]
        assert len(places) > 8
        for place in places:
            # Exactly one token ever followed this one before, and it comes again.
            after = {row[i + 1] for i in range(place) if row[i] == row[place]}
            assert after == {row[place + 1]}


def test_an_interrupted_training_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "EVERY", 2)
    recipe = replace(RECIPES["modular"], steps=6)
    whole = training.train(recipe, 0, tmp_path)
    (tmp_path / "modular-0.pt").unlink()

    def stops(model, generator):  # type: ignore[no-untyped-def]
        stops.calls += 1
        if stops.calls > 4:
            raise KeyboardInterrupt
        return recipe.loss(model, generator)

    stops.calls = 0
    with pytest.raises(KeyboardInterrupt):
        training.train(replace(recipe, loss=stops), 0, tmp_path)
    resumed = training.train(recipe, 0, tmp_path)
    for name, value in whole.module.state_dict().items():
        assert torch.equal(resumed.module.state_dict()[name], value), name


def test_swapping_a_part_changes_just_that_part_in_just_those_rows() -> None:
    model = wrap(untrained(siit.SIZE, 1), name="random")
    generator = torch.Generator().manual_seed(2)
    base, other = (torch.randint(12, (4, 8), generator=generator) for _ in range(2))
    source = model.run(other, capture=siit.sites())
    plain = model.run(base, capture=siit.sites())
    swaps = siit.swapped(source, {"a1.h2": [0, 2]})
    changed = model.run(base, capture=siit.sites(), interventions=swaps)
    for site in siit.sites():
        if str(site) == "head_z.1":
            expected = plain[site].clone()
            expected[[0, 2], :, 2] = source[site][[0, 2], :, 2]
            torch.testing.assert_close(changed[site], expected)
        elif site.layer == 0:
            torch.testing.assert_close(changed[site], plain[site])
    assert changed.logits is not None
    assert plain.logits is not None
    torch.testing.assert_close(changed.logits[[1, 3]], plain.logits[[1, 3]])
    assert not torch.allclose(changed.logits[[0, 2]], plain.logits[[0, 2]])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["induction", "siit-class-move"])
def test_a_short_training_learns(name: str, tmp_path: Path) -> None:
    recipe = replace(RECIPES[name], steps=150)
    fresh = wrap(untrained(recipe.size, 0), name=name)
    before = float(recipe.loss(fresh, torch.Generator().manual_seed(9)))
    after = float(
        recipe.loss(training.train(recipe, 0, tmp_path), torch.Generator().manual_seed(9))
    )
    assert after < 0.8 * before
