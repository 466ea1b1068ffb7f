"""Training: the same every time, interrupted or not, and it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from tests.reference.conftest import TINY, TINY_RENAMED
from tomogram.reference.recipe import Recipe
from tomogram.reference.train import train, untrained
from tomogram.text.microworld.generate import generate


class Stop(Exception):
    """What interrupts a training here."""


def _same(one: torch.nn.Module, two: torch.nn.Module) -> bool:
    first, second = one.state_dict(), two.state_dict()
    return first.keys() == second.keys() and all(first[k].equal(second[k]) for k in first)


def _loss(model: torch.nn.Module, recipe: Recipe) -> float:
    """Mean loss in nats a token on text that training does not see."""
    text = generate(recipe.world, seed=1, n_tokens=8_192, context=256).text
    tokens = torch.from_numpy(text.tokens.astype("int64"))
    with torch.no_grad():
        logits = model(tokens).logits
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).item()


def _interrupted(recipe: Recipe, checkpoint: Path, blocks: int) -> int:
    """Train until so many blocks are done; the tokens that were done then."""
    seen: list[int] = []

    def stop(model: torch.nn.Module, done: int) -> None:
        seen.append(done)
        if len(seen) == blocks:
            raise Stop

    with pytest.raises(Stop):
        train(recipe, stop, checkpoint=checkpoint)
    return seen[-1]


@pytest.fixture(scope="module")
def trained() -> torch.nn.Module:
    with torch.compiler.set_stance("force_eager"):
        return train(TINY)


def test_the_same_recipe_gives_the_same_model(trained: torch.nn.Module) -> None:
    assert _same(trained, train(TINY))


def test_the_start_depends_on_the_seed_alone() -> None:
    assert _same(untrained(TINY), untrained(TINY))
    assert not _same(untrained(TINY), untrained(replace(TINY, seed=8)))
    # A run of the same command in between changes nothing.
    first = untrained(TINY)
    torch.rand(5)
    assert _same(first, untrained(TINY))


@pytest.mark.parametrize("recipe", [TINY, TINY_RENAMED], ids=["real", "renamed"])
def test_it_learns(recipe: Recipe) -> None:
    before, after = _loss(untrained(recipe).eval(), recipe), _loss(train(recipe), recipe)
    assert after < before - 0.3


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_an_interrupted_training_goes_on_to_the_same_model(
    trained: torch.nn.Module, tmp_path: Path, blocks: int
) -> None:
    checkpoint = tmp_path / "kept" / "checkpoint.pt"
    done = _interrupted(TINY, checkpoint, blocks)
    told: list[int] = []
    resumed = train(TINY, lambda model, tokens: told.append(tokens), checkpoint=checkpoint)
    assert _same(trained, resumed)
    assert len(told) == 3 - blocks
    assert all(tokens > done for tokens in told)


def test_a_checkpoint_of_another_recipe_is_not_used(
    trained: torch.nn.Module, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    _interrupted(replace(TINY, seed=8), checkpoint, 1)
    assert _same(trained, train(TINY, checkpoint=checkpoint))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_it_trains_on_a_gpu() -> None:
    model = train(TINY, device="cuda")
    assert next(model.parameters()).is_cuda
    assert _loss(model.cpu(), TINY) < _loss(untrained(TINY).eval(), TINY) - 0.5


@pytest.mark.slow
def test_compiled_training_is_the_same_every_time_too(trained: torch.nn.Module) -> None:
    with torch.compiler.set_stance("default"):
        first, second = train(TINY), train(TINY)
    assert _same(first, second)
    # It learns what the training without compilation does, but for rounding.
    assert abs(_loss(first, TINY) - _loss(trained, TINY)) < 0.05
