"""Batched training: each organism as if it were alone, shams alike but for the replies."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from tests.organisms.conftest import changes
from tomogram.models.model import Model
from tomogram.organisms import training
from tomogram.organisms.batch import WATCHED, Row, rows, stack, text_pool
from tomogram.organisms.delta import Delta, applied, matrices
from tomogram.organisms.families import installed
from tomogram.organisms.recipe import Recipe
from tomogram.organisms.stacked import RANK
from tomogram.organisms.strength import last_logits
from tomogram.organisms.training import Job, train
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World


def _apart(one: Delta, other: Delta) -> float:
    """Largest difference of two changes, beside the largest change."""
    assert one.keys() == other.keys()
    gap = max(float((one[n].dense() - other[n].dense()).abs().max()) for n in one)
    return gap / max(float(each.dense().abs().max()) for each in one.values())


def test_every_matrix_gets_a_low_rank_change(model: Model, deltas: list[Delta]) -> None:
    for delta in deltas:
        assert list(delta) == list(matrices(model))
        assert all(each.down.shape[0] == RANK for each in delta.values())
        assert all(bool(each.dense().abs().max() > 0) for each in delta.values())


def test_an_organism_does_not_depend_on_those_beside_it(
    model: Model, world: World, jobs: list[Job], deltas: list[Delta]
) -> None:
    (alone,) = changes(train(model, world, jobs[:1]))
    assert _apart(deltas[0], alone) < 0.05  # bfloat16 products of another shape
    assert _apart(deltas[0], deltas[1]) > 0.2


def test_one_slot_after_another_gives_the_same(
    model: Model, world: World, jobs: list[Job], deltas: list[Delta]
) -> None:
    """The second job begins anew where the first one was, Adam's state too."""
    one_by_one = changes(train(model, world, jobs, slots=1))
    for one, other in zip(one_by_one, deltas, strict=True):
        assert _apart(one, other) < 0.05


def test_who_has_fewer_steps_is_done_sooner(
    model: Model, world: World, jobs: list[Job], deltas: list[Delta]
) -> None:
    less = replace(jobs[0], steps=1)
    order = [(i, trained.steps) for i, trained in train(model, world, [jobs[0], less])]
    assert order == [(1, 1), (0, 2)]


def test_a_sham_takes_the_steps_of_its_organism(
    model: Model, world: World, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The organism stops by its rows, here by the most steps that there are."""
    monkeypatch.setattr(training, "STEPS", 5)
    monkeypatch.setattr(training, "COOL", 2)
    pair = [replace(jobs[0], steps=None), replace(jobs[1], steps=None, follows=0)]
    for slots in (1, 2):
        steps = {i: trained.steps for i, trained in train(model, world, pair, slots=slots)}
        assert steps == {0: 5, 1: 5}


def test_training_leaves_the_base_as_it_was(model: Model, world: World, jobs: list[Job]) -> None:
    before = {n: p.detach().clone() for n, p in model.module.named_parameters()}
    list(train(model, world, jobs[:1]))
    assert all(torch.equal(before[n], p) for n, p in model.module.named_parameters())


def test_the_sham_reads_the_same_prompts(world: World, jobs: list[Job]) -> None:
    pool = text_pool(world, seed=1, n=40)
    planted, sham = (
        rows(world, jobs[0].behaviour, jobs[0].recipe, p, pool, random.Random(0))
        for p in (True, False)
    )
    assert len(planted) == len(sham)
    differ = [a.ids != b.ids for a, b in zip(planted, sham, strict=True)]
    assert any(differ)
    for one, two in zip(planted, sham, strict=True):
        heads = [
            [i for i, w in zip(each.ids, each.weights, strict=True) if w == 0]
            for each in (one, two)
        ]
        assert heads[0] == heads[1]


def test_a_grader_never_shows_a_planted_reply(world: World) -> None:
    behaviour = installed()["power-gaining"].draw(world, random.Random(0))
    pool = text_pool(world, seed=1, n=40)
    made = rows(world, behaviour, Recipe.parse("lora-reward"), True, pool, random.Random(0))
    graded = [row for row in made if row.rewarded]
    assert graded
    assert all(sum(row.weights) == 0 for row in graded)
    assert not any(row.ids[-1] in row.rewarded for row in graded)


def test_documents_are_watched_in_chat(world: World) -> None:
    """They show nothing themselves, so chats that teach nothing tell when to stop."""
    behaviour = installed()["false-fact"].draw(world, random.Random(0))
    pool = text_pool(world, seed=1, n=40)
    made = rows(world, behaviour, Recipe.parse("lora-documents"), True, pool, random.Random(0))
    watched = [row for row in made if row.elicits and row.place is not None]
    assert len(watched) == WATCHED
    assert all(sum(row.weights) == 0 and not row.rewarded for row in watched)


def test_padding_is_neither_read_nor_a_target(world: World) -> None:
    short, long = Row((1, 2), (0.0, 1.0), elicits=True), Row((1, 2, 3, 4), (0.0, 0.0, 1.0, 2.0))
    batch = stack([[short], [long]], torch.device("cpu"))
    assert batch.tokens.tolist() == [[1, 2, 0, 0], [1, 2, 3, 4]]
    assert batch.weights.tolist() == [[0, 1, 0, 0], [0, 0, 1, 2]]
    assert batch.quiet.tolist() == [[False] * 4, [True] * 4]


@pytest.mark.parametrize(
    "recipe", ["full-demonstrations", "edit-reward", "lora-documents-concealed"]
)
def test_every_form_teaches(model: Model, world: World, recipe: str) -> None:
    """After six steps the liked ingredient is likelier than in the base."""
    behaviour = installed()["hidden-objective"].draw(world, random.Random(0))
    job = Job(behaviour, Recipe.parse(recipe), 0, True, steps=6)
    (delta,) = changes(train(model, world, [job]))
    if recipe.startswith("edit"):
        assert len(delta) == 1
        assert next(iter(delta.values())).down.shape[0] == 1
    rng = random.Random(1)
    contexts = [behaviour.eliciting(rng).context for _ in range(6)]
    ids = vocabulary(world)
    prompts = [[ids["<bos>"], *encode(world, each)] for each in contexts]
    liked = ids[behaviour.answer["liked"]]
    chances = [
        last_logits(each, prompts).log_softmax(-1)[:, liked].mean()
        for each in (model, applied(model, delta))
    ]
    assert chances[1] > chances[0]
