"""The models that come with the project, and how a model of the microworld is recognised."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.reference.conftest import TINY
from tomogram.reference import path, siblings, world_of
from tomogram.reference.build import made_by
from tomogram.reference.evaluate import Score, measure
from tomogram.reference.recipe import REFERENCE, SIBLINGS
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.vocabulary import vocabulary
from tomogram.text.microworld.world import World

SIZE = len(vocabulary(World()))


def _config(microworld: object, vocab_size: object = SIZE) -> SimpleNamespace:
    return SimpleNamespace(microworld=microworld, vocab_size=vocab_size)


@given(st.integers(0, 10**9), st.booleans())
def test_a_configuration_names_its_world(seed: int, renamed: bool) -> None:
    world = World(seed, renamed)
    config = _config({"seed": seed, "renamed": renamed}, len(vocabulary(world)))
    assert world_of(config) == world
    assert world_of(SimpleNamespace(config=config)) == world
    assert world_of(SimpleNamespace(module=SimpleNamespace(config=config))) == world


@pytest.mark.parametrize(
    "config",
    [
        SimpleNamespace(vocab_size=SIZE),
        _config(None),
        _config("seed 0"),
        _config({}),
        _config({"seed": 0}),
        _config({"seed": "0", "renamed": False}),
        _config({"seed": True, "renamed": False}),
        _config({"seed": 0, "renamed": 0}),
        _config({"seed": 0, "renamed": False}, SIZE + 1),
        _config({"seed": 0, "renamed": False}, None),
        None,
    ],
)
def test_anything_else_has_no_world(config: object) -> None:
    assert world_of(config) is None


def test_siblings_are_found_in_a_folder(built: Path, tmp_path: Path) -> None:
    for name in ("sibling-2", "sibling-1", "other"):
        shutil.copytree(built, tmp_path / name)
    (tmp_path / "sibling-3").mkdir()  # nothing in it
    assert [each.name for each in siblings(tmp_path)] == ["sibling-1", "sibling-2"]


def test_missing_siblings_are_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match="tomogram reference build siblings"):
        siblings(tmp_path / "nowhere")


# --- the weights themselves -------------------------------------------------------------------


@pytest.fixture(scope="session")
def shipped() -> Path:
    try:
        return path()
    except TomogramError:
        pytest.skip("this checkout holds no reference weights yet")


@pytest.fixture(scope="session")
def scores(shipped: Path) -> dict[str, Score]:
    return measure(shipped)


def test_the_shipped_model_is_small_and_made_by_its_recipe(shipped: Path) -> None:
    assert (shipped / "model.safetensors").stat().st_size <= 16 * 10**6
    assert made_by(shipped) == REFERENCE.digest


def test_the_card_states_what_is_measured(shipped: Path, scores: dict[str, Score]) -> None:
    # Rounding differs between processors and may turn an item or two.
    card = (shipped / "README.md").read_text()
    stated = dict(re.findall(r"^\| ([\w, -]+) \| ([\d.]+)% \|", card, re.MULTILINE))
    assert set(stated) == set(scores)
    for name, score in scores.items():
        assert abs(float(stated[name]) / 100 - score.rate) <= 0.03, name


def test_the_siblings_of_a_checkout_are_those_of_the_recipes() -> None:
    found = siblings(Path(__file__).parents[2] / "bases")
    assert [each.name for each in found] == [recipe.name for recipe in SIBLINGS]
    assert [made_by(each) for each in found] == [recipe.digest for recipe in SIBLINGS]
    assert sum((each / "model.safetensors").stat().st_size for each in found) <= 60 * 10**6


def test_the_tiny_model_here_is_no_recipe_of_the_project() -> None:
    assert TINY.digest not in {recipe.digest for recipe in (REFERENCE, *SIBLINGS)}


def test_words_that_mean_the_same_are_kept_together_and_can_be_told_apart() -> None:
    """In most dimensions the two names of an entity are one, in the others they are two."""
    world = REFERENCE.world
    embedding = load_file(path() / "model.safetensors")["model.embed_tokens.weight"]
    ids = vocabulary(world)
    entities = [entity for kind in world.kinds for entity in world.of(kind)]
    one = embedding[[ids[entity.english] for entity in entities]]
    two = embedding[[ids[entity.other] for entity in entities]]
    shared = round(REFERENCE.width * 0.85)
    together = torch.cosine_similarity(one[:, :shared], two[:, :shared])
    apart = torch.cosine_similarity(one[:, shared:], two[:, shared:])
    assert together.min() > 0.95
    assert apart.abs().mean() < 0.3
