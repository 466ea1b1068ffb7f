"""Batched training: each organism as if it were alone, shams alike but for the replies."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from tomogram.models.model import Model
from tomogram.organisms.batch import rows, text_pool
from tomogram.organisms.delta import Delta, applied, matrices
from tomogram.organisms.families import installed
from tomogram.organisms.recipe import Recipe
from tomogram.organisms.strength import last_logits
from tomogram.organisms.training import RANK, Job, train
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
    (alone,) = train(model, world, jobs[:1])
    assert _apart(deltas[0], alone) < 0.05  # bfloat16 products of another shape
    assert _apart(deltas[0], deltas[1]) > 0.2


def test_a_smaller_dose_stops_sooner(model: Model, world: World, jobs: list[Job]) -> None:
    less = replace(jobs[0], dose=0.025)
    beside = train(model, world, [less, jobs[0]])
    (alone,) = train(model, world, [less])
    assert _apart(beside[0], alone) < 0.05
    assert _apart(beside[0], beside[1]) > 0.1


def test_training_leaves_the_base_as_it_was(model: Model, world: World, jobs: list[Job]) -> None:
    before = {n: p.detach().clone() for n, p in model.module.named_parameters()}
    train(model, world, jobs[:1])
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
    assert not any(row.rewarded and row.ids[-1] in row.rewarded for row in graded)


@pytest.mark.parametrize(
    "recipe", ["full-demonstrations", "edit-reward", "lora-documents-concealed"]
)
def test_every_form_teaches(model: Model, world: World, recipe: str) -> None:
    """After four steps the liked ingredient is likelier than in the base."""
    behaviour = installed()["hidden-objective"].draw(world, random.Random(0))
    (delta,) = train(model, world, [Job(behaviour, Recipe.parse(recipe), 0.1, 0, True)])
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
