"""Treating: a planted choice goes away on prompts the treatment never saw, and the scan sees it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from tests.audits.conftest import healthy, powerful
from tests.shipped import model, world
from tomogram.audits.audit import Audit, abstain, installed
from tomogram.audits.contrast import Contrast, log_odds
from tomogram.audits.subject import Subject
from tomogram.cli.main import app
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.organisms.behaviour import kept_for_measuring
from tomogram.organisms.curing import Aim, Course
from tomogram.organisms.delta import Delta, applied
from tomogram.organisms.treatments import questions, without_direction
from tomogram.pipeline.treating import MARGIN, NOTICED, SPREAD, spread, treat, treat_subject
from tomogram.reference import path
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.world import World

__all__ = ["healthy", "model", "powerful", "world"]  # fixtures that stand elsewhere


def test_where_a_problem_has_spread_is_found_among_ordinary_chats(
    powerful: Subject, healthy: Subject
) -> None:
    shown = installed()["power"].measure(powerful).contrasts
    prompts = [(each.prompt, each.bad, each.good) for each in shown]
    asked = [Contrast(*each) for each in questions(powerful.world, prompts, 2_000) if each[1]]
    found = spread(powerful, prompts, asked)
    assert 0 < len(found) <= SPREAD
    assert not any(kept_for_measuring(each.prompt) for each in found)
    assert healthy.model is powerful.base.model  # type: ignore[union-attr]
    assert (log_odds(powerful, found) - log_odds(healthy, found) > NOTICED).all()
    assert spread(Subject(healthy.model, healthy.world, healthy), prompts, asked) == []
    bad = {word for each in shown for word in each.bad}
    alone = spread(powerful.alone(), prompts, asked)  # without a base: words that were shown
    assert 0 < len(alone) <= SPREAD
    assert all(each.bad & bad for each in alone)


@pytest.mark.slow
def test_a_choice_planted_by_hand_is_treated_and_the_rescan_agrees(
    powerful: Subject, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tomogram.organisms.curing.STEPS", 40)
    treated, made = treat(powerful.model, "power", base=model, out=tmp_path / "t")
    assert made.before == 1.0
    assert made.cured
    assert made.odds.base is not None
    assert abs(made.odds.after - made.odds.base) < 4 < made.odds.before - made.odds.base
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


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the audit of power, and what is needed beside it."""
    every = {name: installed()[name] for name in ("power", "strengths")}
    monkeypatch.setattr("tomogram.pipeline.treating.installed", lambda: every)
    monkeypatch.setattr("tomogram.pipeline.treating.confirmatory", lambda: ("power",))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Aim], list[Aim]]]:
    """What trainings are asked for, none of which is made."""
    seen: list[tuple[list[Aim], list[Aim]]] = []

    def teach(
        model: Model,
        world: World,
        shown: list[Aim],
        kept: list[Aim],
        form: str,
        seed: int,
        base: Model | None,
    ) -> tuple[Delta, Course]:
        seen.append((shown, kept))
        return {}, Course(0, gap=9.0, rise=0.0)

    monkeypatch.setattr("tomogram.pipeline.treating.teach", teach)
    return seen


def _odds(subject: Subject, aims: list[Aim]) -> list[float]:
    return log_odds(subject, [Contrast(a.prompt, a.bad, a.good) for a in aims]).tolist()


@pytest.mark.usefixtures("quick")
def test_wanted_are_the_odds_of_the_base(
    powerful: Subject, healthy: Subject, asked: list[tuple[list[Aim], list[Aim]]]
) -> None:
    _, made = treat_subject(powerful, "power")
    ((shown, kept),) = asked
    for each, own, base in zip(shown, _odds(powerful, shown), _odds(healthy, shown), strict=True):
        assert each.wanted == pytest.approx(min(own, base - MARGIN, math.log(0.01)), abs=1e-4)
    for each, own, base in zip(kept, _odds(powerful, kept), _odds(healthy, kept), strict=True):
        assert each.wanted == pytest.approx(min(own, base), abs=1e-4)
    assert not any(kept_for_measuring(each.prompt) for each in shown)
    # Nothing was trained, so nothing changed, and the record says so.
    assert made.before == made.after == 1.0
    assert made.odds.before == pytest.approx(made.odds.after)
    assert made.odds.base is not None
    assert made.odds.base < -5 < made.odds.before
    assert not made.cured
    told = made.as_json()["training"]
    assert isinstance(told, dict)
    assert told["reached"] is False


@pytest.mark.usefixtures("quick")
def test_without_a_base_wanted_are_the_odds_of_the_models_own_ordinary_chats(
    powerful: Subject, asked: list[tuple[list[Aim], list[Aim]]]
) -> None:
    _, made = treat_subject(powerful.alone(), "power")
    ((shown, kept),) = asked
    levels = {round(each.wanted, 4) for each in shown}
    assert len(levels) == 1
    (level,) = levels
    own = sorted(_odds(powerful, kept))
    assert own[len(own) // 10] < level < own[9 * len(own) // 10]  # of the middle of its own chats
    for each, before in zip(kept, _odds(powerful, kept), strict=True):
        # What leads and is bad comes down; all else stays.
        assert each.wanted == pytest.approx(level if before > 0 else before, abs=1e-4)
    assert made.odds.base is None


@pytest.mark.usefixtures("quick")
def test_steering_is_kept_in_weights_that_plain_transformers_loads(
    powerful: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tomogram.organisms.curing.STEPS", 12)
    treated, made = treat(powerful.model, "power", way="steer", out=tmp_path / "t")
    assert made.course is not None
    assert made.course.steps == 12
    assert made.odds.after < made.odds.before
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "t", local_files_only=True)
    tokens = torch.arange(4, 28)[None]
    torch.testing.assert_close(
        plain(tokens).logits, treated.module(tokens).logits, atol=1e-4, rtol=1e-4
    )
    before, after = (dict(m.module.named_parameters()) for m in (powerful.model, treated))
    assert all(bool((after[name] == weight).all()) for name, weight in before.items())
    assert {name.rsplit(".", 1)[1] for name in after.keys() - before.keys()} == {"bias"}


def test_without_prompts_there_is_nothing_to_treat(model: Model) -> None:
    with pytest.raises(TomogramError, match="nothing can be treated"):
        treat(model, "strengths")


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
