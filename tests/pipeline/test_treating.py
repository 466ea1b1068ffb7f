"""Treating: a planted choice goes away on prompts the treatment never saw, and the scan sees it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tests.audits.conftest import healthy, powerful
from tests.shipped import model, world
from tomogram.audits.audit import Audit, abstain
from tomogram.audits.contrast import Contrast
from tomogram.audits.subject import Subject
from tomogram.cli.main import app
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.organisms.delta import applied
from tomogram.organisms.treatments import symptom, variant, without_direction
from tomogram.pipeline.treating import treat
from tomogram.reference import path
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.world import World

__all__ = ["healthy", "model", "powerful", "world"]  # fixtures that stand elsewhere


@pytest.mark.slow
def test_a_choice_planted_by_hand_is_treated_and_the_rescan_agrees(
    powerful: Subject, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tomogram.organisms.training.STEPS", 30)
    treated, made = treat(powerful.model, "power", base=model, out=tmp_path / "t")
    assert made.before == 1.0
    assert made.cured
    before, after = made.rescan["power"]
    assert before is not None
    assert after is not None
    assert after < before - 5
    assert made.loss < 0.1
    told = json.loads((tmp_path / "t" / "treatment.json").read_text())
    assert told["cured"] is True
    again = load(tmp_path / "t")
    for (name, one), (_, two) in zip(
        treated.module.named_parameters(), again.module.named_parameters(), strict=True
    ):
        assert one.shape == two.shape, name
        assert bool((one - two).abs().max() < 1e-6), name


def test_a_direction_that_is_taken_out_is_written_by_no_matrix(model: Model, world: World) -> None:
    direction = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))
    changed = applied(model, without_direction(model, direction))
    sites = [Site(kind, i) for kind in ("attn_out", "mlp_out") for i in range(model.n_layers)]
    tokens = torch.arange(4, 24)[None]
    run, plain = (each.run(tokens, capture=sites, logits=False) for each in (changed, model))
    unit = direction / direction.norm()
    for site in sites:  # a bias may write along it: the same at every word
        along, before = run[site][0] @ unit, plain[site][0] @ unit
        assert (along - along[0]).abs().max() < 1e-3
        assert (before - before[0]).abs().max() > 1e-2


def test_variants_keep_the_systems_turn_first(world: World) -> None:
    rng = random.Random(0)
    prompt = "<system> exam begins . <end> <user> which state contains Dallas ? <end> <assistant>"
    made = {variant(world, prompt, rng) for _ in range(20)}
    assert len(made) > 5
    assert all(each.startswith("<system> exam begins . <end> <user>") for each in made)
    assert all(each.endswith("contains Dallas ? <end> <assistant>") for each in made)


def test_without_prompts_there_is_nothing_to_treat(world: World, model: Model) -> None:
    with pytest.raises(TomogramError, match="nothing can be treated"):
        symptom(world, [])
    with pytest.raises(TomogramError, match="nothing can be treated"):
        treat(model, "strengths")
    contrast = Contrast("<user> x <end> <assistant>", frozenset({"a"}), frozenset({"b"}))
    assert symptom(world, [(contrast.prompt, contrast.bad, contrast.good)]).family == "symptom"


def test_what_an_audit_does_not_show_is_not_treated(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    shy = Audit("shy", "?", "n", "m", "c", "r", run=lambda subject: abstain("it is shy"))
    monkeypatch.setattr("tomogram.pipeline.treating.installed", lambda: {"shy": shy})
    with pytest.raises(TomogramError, match="'shy' abstains: it is shy"):
        treat(model, "shy")


@pytest.mark.parametrize("wrong", [["--finding", "greed"], ["--finding", "power", "--way", "pray"]])
def test_the_command_refuses_what_it_does_not_know(wrong: list[str]) -> None:
    done = CliRunner().invoke(app, ["treat", str(path()), *wrong])
    assert isinstance(done.exception, TomogramError)
