"""The ten concepts that steering is measured on are what the benchmark says they are."""

from __future__ import annotations

import pytest

from benchmarks.steering.concepts import Concept, ten
from tomogram.models.model import Model
from tomogram.pipeline.given import given_model
from tomogram.reference.shipped import world_of
from tomogram.steering.behaviours import Says

CONCEPTS = ("a city", "a sentiment", "refusal", "compliance", "lying", "a language", "an opinion",
            "a number", "a rhyme", "a mood")  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Model:
    return given_model(None)


@pytest.fixture(scope="module")
def concepts(model: Model) -> dict[str, Concept]:
    world = world_of(model)
    assert world is not None
    return {concept.name: concept for concept in ten(world)}


@pytest.mark.parametrize("name", CONCEPTS)
def test_no_held_out_prompt_was_there_to_select_on(concepts: dict[str, Concept], name: str) -> None:
    concept = concepts[name]
    assert set(concepts) == set(CONCEPTS)
    seen = {*concept.selection.prompts, *concept.pairs.positive, *concept.pairs.negative}
    assert not seen & set(concept.held_out.prompts)
    assert min(len(concept.selection.prompts), len(concept.held_out.prompts)) >= 20


@pytest.mark.parametrize("name", CONCEPTS)
def test_the_model_does_otherwise_by_itself(
    model: Model, concepts: dict[str, Concept], name: str
) -> None:
    asked: Says = concepts[name].held_out
    assert asked.take(range(12)).outcomes(model).mean() <= 0.1
