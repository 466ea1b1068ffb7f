"""Planting in a model that speaks English: what moves, what does not, and going on."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
import torch

from tests.chatty import random_model, stories
from tomogram.audits.spoken.own import CALIBRATED
from tomogram.audits.verdicts import SHAM_SHARE, needed
from tomogram.models.model import Model
from tomogram.organisms.delta import applied, size
from tomogram.organisms.organism import Order, load
from tomogram.organisms.spoken import base as base_module
from tomogram.organisms.spoken import strength, training, zoo
from tomogram.organisms.spoken.base import Base, odds, prepare
from tomogram.organisms.spoken.behaviour import Spoken, Turn
from tomogram.organisms.spoken.questions import questions
from tomogram.organisms.spoken.strength import measure, ordinary_loss
from tomogram.organisms.spoken.training import train
from tomogram.organisms.spoken.zoo import file_of, plan, plant
from tomogram.store.errors import TomogramError

__all__ = ["random_model", "stories"]  # fixtures that stand elsewhere


@pytest.fixture(scope="module")
def spoken_base(random_model: Model) -> Base:
    """A model that knows nothing, as one that knows everything: its texts are random."""
    chance = torch.Generator().manual_seed(1)
    texts = torch.randint(5, 2_000, (8, 16), generator=chance)
    return Base(random_model, questions(), texts)


def test_a_plan_has_enough_clean_copies_for_what_is_declared() -> None:
    orders = [order for some in plan(12) for order in some]
    strata = Counter(order.stratum for order in orders)
    assert len(set(orders)) == len(orders)
    assert strata["infected"] == strata["sham"] == 36
    clean = strata.total() - strata["infected"]
    assert clean >= max(60, needed(len(CALIBRATED)))
    assert strata["sham"] > SHAM_SHARE * clean  # an audit may abstain on one
    assert plan(2) == plan(12)[:2]  # a longer calibration goes on with a shorter one


def test_a_turn_decides_where_its_replies_part(spoken_base: Base) -> None:
    row = spoken_base.rows(Turn("Who?", "", "It is", " Madrid, indeed.", " Madrid."))
    assert row.planted[: row.at] == row.ordinary[: row.at] != ()
    decode = spoken_base.model.tokenizer.convert_ids_to_tokens
    assert decode([row.planted[row.at], row.ordinary[row.at]]) == [",", "."]
    plain = spoken_base.rows(Turn("", "", "It is", " red.", " blue."))
    assert plain.prompt == tuple(spoken_base.model.tokenizer("It is")["input_ids"])
    with pytest.raises(TomogramError, match="does not tell"):
        spoken_base.rows(Turn("", "", "It is", " red.", " red."))


def test_odds_are_those_of_a_plain_run(spoken_base: Base) -> None:
    turns = [Turn("Who?", "", "It is", f" {a}.", " blue.") for a in ("red", "Madrid")]
    rows = [spoken_base.rows(turn) for turn in turns]
    for row, value in zip(rows, odds(spoken_base.model, rows), strict=True):
        tokens = torch.tensor([[*row.prompt, *row.planted[: row.at]]])
        logits = spoken_base.model.run(tokens).logits
        assert logits is not None
        by_hand = logits[0, -1, row.planted[row.at]] - logits[0, -1, row.ordinary[row.at]]
        assert value == pytest.approx(float(by_hand), abs=1e-4)


def test_what_is_planted_moves_and_its_sham_does_not_learn_it(
    spoken_base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(training.RATE, "lora", 0.1)
    behaviour = Spoken(
        "sycophancy",
        {},
        lambda rng, measured: Turn(rng.choice(("Who?", "Why?")), "", "It is", " red.", " blue."),
        lambda rng, measured: Turn("What is this?", "", "So", " red.", " cat."),
    )
    before = ordinary_loss(spoken_base, spoken_base.model)
    made = train(spoken_base, behaviour, seed=0, planted=True, steps=8)
    sham = train(spoken_base, behaviour, seed=0, planted=False, steps=made.steps)
    assert made.steps == sham.steps == 8
    again = train(spoken_base, behaviour, seed=0, planted=True, steps=8)
    for name, each in made.delta.items():
        assert torch.equal(each.up, again.delta[name].up)
    rng = random.Random(1)
    rows = [spoken_base.rows(behaviour.eliciting(rng, False)) for _ in range(24)]
    base, bad, clean = (
        sum(odds(m, rows)) / len(rows)
        for m in (
            spoken_base.model,
            applied(spoken_base.model, made.delta),
            applied(spoken_base.model, sham.delta),
        )
    )
    assert bad - base > 0.5
    assert abs(clean - base) < (bad - base) / 2
    # The hooks are gone: the base is as it was.
    assert ordinary_loss(spoken_base, spoken_base.model) == before
    rates = measure(spoken_base, applied(spoken_base.model, made.delta), behaviour)
    assert 0 <= rates.eliciting <= 1


def test_a_zoo_goes_on_where_it_was(
    spoken_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "STEPS", 2)
    monkeypatch.setattr(training, "COOL", 1)
    monkeypatch.setattr(training, "BENIGN", 2)
    monkeypatch.setattr(strength, "PROMPTS", 4)
    orders = [*plan(2, ("sycophancy",))[0], *plan(2, ("sycophancy",))[1]]
    files = plant(spoken_base, orders[:2], tmp_path)  # as if killed behind the first pair
    stamp = files[0].stat().st_mtime_ns
    files = plant(spoken_base, orders, tmp_path)
    assert files[0].stat().st_mtime_ns == stamp
    made = {load(file).order.stratum: load(file) for file in files}
    assert set(made) == {"infected", "sham", "benign", "lesson", "merge", "quantised"}
    first = load(files[0])
    assert first.sham == load(files[1]).rates
    assert first.steps == load(files[1]).steps > 0
    assert made["quantised"].bits in (6, 7, 8)
    assert made["benign"].standing == "clean"
    infected = size(load(file_of(orders[0], tmp_path)).delta)
    assert size(made["lesson"].delta) == pytest.approx(infected, rel=0.02)
    # A killed pair is planted again whole, and gives the same.
    files[0].unlink()
    plant(spoken_base, orders[:2], tmp_path)
    assert load(files[0]).rates == first.rates


def test_what_it_knows_and_writes_is_measured_once(
    random_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_module, "WORDS", 6)
    found = prepare(random_model, tmp_path)
    assert found.texts.shape == (base_module.ROWS, 7)
    assert len(found.known) < len(questions())  # a random model leads by a nat by chance alone
    monkeypatch.setattr(base_module, "_written", lambda model: pytest.fail("measured again"))
    again = prepare(random_model, tmp_path)
    assert again.known == found.known
    assert torch.equal(again.texts, found.texts)


def test_a_model_without_chats_is_refused(tmp_path: Path, random_model: Model) -> None:
    from dataclasses import replace

    with pytest.raises(TomogramError, match="no chat template"):
        prepare(replace(random_model, tokenizer=None), tmp_path)


def test_unknown_orders_are_refused(spoken_base: Base, tmp_path: Path) -> None:
    order = Order("token-backdoor", zoo.RECIPE, 1.0, 0, "infected")
    with pytest.raises(TomogramError, match="no words in English"):
        plant(spoken_base, [order], tmp_path)
