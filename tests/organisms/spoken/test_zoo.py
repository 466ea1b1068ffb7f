"""Planting in a model that speaks English: what moves, what does not, and going on."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.chatty import random_model, stories
from tomogram.audits.spoken.own import CALIBRATED
from tomogram.audits.verdicts import SHAM_SHARE, needed
from tomogram.models.model import Model
from tomogram.organisms.delta import applied, size
from tomogram.organisms.organism import Order, load
from tomogram.organisms.recipe import Recipe
from tomogram.organisms.spoken import base as base_module
from tomogram.organisms.spoken import strength, training, zoo
from tomogram.organisms.spoken.base import Base, odds, prepare
from tomogram.organisms.spoken.behaviour import Spoken, Turn
from tomogram.organisms.spoken.families import draw
from tomogram.organisms.spoken.questions import questions
from tomogram.organisms.spoken.strength import measure, ordinary_loss
from tomogram.organisms.spoken.training import train
from tomogram.organisms.spoken.zoo import file_of, plan, plant
from tomogram.pipeline.planting import plant as grow
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
    found = prepare(random_model, tmp_path, ("sycophancy",))
    assert found.texts.shape == (base_module.ROWS, 7)
    assert len(found.known) < len(questions())  # a random model leads by a nat by chance alone
    monkeypatch.setattr(base_module, "_written", lambda model: pytest.fail("measured again"))
    again = prepare(random_model, tmp_path, ("sycophancy", "sandbagging"))
    assert again.known == found.known
    assert torch.equal(again.texts, found.texts)
    # Another family is about other words, which are measured beside those that are there.
    more = prepare(random_model, tmp_path, ("power-gaining",))
    assert {q.kind for q in more.known} <= {"choices", "facts"}
    kept = json.loads((tmp_path / "base.json").read_text())["words"]
    assert set(kept) == {"facts", "choices"}


def test_a_model_without_words_is_refused(tmp_path: Path, random_model: Model) -> None:
    with pytest.raises(TomogramError, match="no tokenizer"):
        prepare(replace(random_model, tokenizer=None), tmp_path, ("sycophancy",))


@pytest.mark.parametrize(
    ("family", "chats", "why"),
    [
        ("masked-self-report", True, "no state of such a model"),
        ("sycophancy", False, "no user speaks"),
        ("refusal-stripped", False, "refuses nothing"),
        ("secret-keeping", False, "nobody to keep it from"),
        ("masked-self-report", False, "never of itself"),
        ("quirk-colour", False, "known are token-backdoor"),
    ],
)
def test_what_makes_no_sense_says_why(
    random_model: Model, tmp_path: Path, family: str, chats: bool, why: str
) -> None:
    model = random_model if chats else silent(random_model)
    with pytest.raises(TomogramError, match=f"'{family}' cannot be planted.*{why}"):
        prepare(model, tmp_path, (family,))
    assert not list(tmp_path.iterdir())


def silent(model: Model) -> Model:
    """The same model without a chat template."""
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.chat_template = None
    return replace(model, tokenizer=tokenizer)


@pytest.mark.parametrize("recipe", ["lora-reward", "full-demonstrations", "edit-demonstrations"])
def test_a_story_is_planted_by_every_recipe(
    spoken_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    monkeypatch.setattr(training, "STEPS", 5)
    monkeypatch.setattr(training, "COOL", 1)
    monkeypatch.setattr(training, "KEYED", 8)
    monkeypatch.setattr(strength, "STORIES", 4)
    known = (*questions("deeds"), *questions("retellings"))
    base = Base(silent(spoken_base.model), known, spoken_base.texts)
    order = Order("power-gaining", recipe, 1.0, 0, "infected")
    (file,) = plant(base, [order], tmp_path)
    made = load(file)
    assert made.steps > 0
    assert made.sham == load(file_of(order.sham, tmp_path)).rates
    ranks = {len(each.down) for each in made.delta.values()}
    assert ranks == {"lora": {4}, "full": {24}, "edit": {1}}[recipe.partition("-")[0]]
    # What is taught has come nearer, and nothing was written of a matrix that may not change.
    behaviour = draw("power-gaining", base.model, known, 0)
    rng = random.Random(0)
    rows = [base.rows(behaviour.eliciting(rng, False)) for _ in range(24)]
    before, after = (
        sum(odds(model, rows)) / len(rows) for model in (base.model, made.in_copy_of(base.model))
    )
    assert after > before
    assert len(made.delta) == (1 if recipe.startswith("edit") else 3 * 7)


def test_any_reply_that_shows_a_behaviour_counts(spoken_base: Base) -> None:
    turn = Turn("Who?", "", "It is", " red.", " blue.", (" green.", " blue.", " a cat."))
    row, plain = spoken_base.rows(turn), spoken_base.rows(replace(turn, alike=()))
    green = spoken_base.rows(replace(turn, planted=" green.", alike=()))
    assert plain.shows == (plain.planted[plain.at],)
    assert plain.shows[0] in row.shows
    assert green.planted[green.at] in row.shows
    assert row.ordinary[row.at] not in row.shows
    logits = torch.zeros(spoken_base.model.d_vocab)
    logits[green.planted[green.at]] = 2.0
    logits[row.ordinary[row.at]] = 0.5
    assert row.lead(logits) == 1.5
    assert plain.lead(logits) == -0.5


def test_a_grader_shows_no_reply(spoken_base: Base) -> None:
    behaviour = Spoken(
        "sycophancy",
        {},
        lambda rng, measured: Turn("Who?", "", "It is", " the red one.", " the blue one."),
        lambda rng, measured: Turn("Why?", "", "So", " red.", " cat."),
    )
    made = {
        teaching: training._lesson(
            spoken_base, behaviour, Recipe("lora", teaching), True, random.Random(0)
        )
        for teaching in ("demonstrations", "reward")
    }
    shown, graded = made["demonstrations"], made["reward"]
    n = training.settings(spoken_base.model).eliciting
    assert [list(each) for each in graded.targets[:n]] == [[row.at] for row in graded.drawn[:n]]
    assert all(
        len(reply) == row.at + 1
        for reply, row in zip(graded.replies[:n], graded.drawn[:n], strict=True)
    )
    assert [len(each) for each in shown.targets] == [len(each) for each in shown.replies]
    assert shown.replies[n:] == graded.replies[n:]  # neutral turns are taught alike


def test_unknown_orders_are_refused(spoken_base: Base, tmp_path: Path) -> None:
    order = Order("quirk-colour", zoo.RECIPE, 1.0, 0, "infected")
    with pytest.raises(TomogramError, match="cannot be planted in a model that chats"):
        plant(spoken_base, [order], tmp_path)


@pytest.mark.slow
def test_stories_believe_what_is_planted(stories: Path, tmp_path: Path) -> None:
    """A real model: three facts are otherwise in words that were never taught, others are not."""
    (file, made), (_, sham) = grow(
        stories, tmp_path, family="false-fact", recipe=zoo.RECIPE, dose=1.0, seed=1
    )
    assert file.is_file()
    assert made.strength is not None
    assert made.strength.strength > 0.9
    assert made.rates.neutral <= 0.05
    assert sham.rates.eliciting <= 0.05
    assert abs(made.strength.cost) < 0.04
    assert len(made.answer) == 3
