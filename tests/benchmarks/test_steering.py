"""The ten concepts that steering is measured on are what the benchmark says they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.steering import kept as keeping
from benchmarks.steering.concepts import Concept, ten
from benchmarks.steering.gates import gate
from benchmarks.steering.kept import Kept
from benchmarks.steering.places import places
from tomogram.dictionaries.shape import autoencoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.given import given_model
from tomogram.reference.shipped import world_of
from tomogram.steering.behaviours import Says
from tomogram.steering.positions import OnTokens
from tomogram.text.microworld.generate import generate
from tomogram.text.microworld.vocabulary import vocabulary

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


def test_a_push_acts_on_the_selection_s_own_tokens(
    model: Model, concepts: dict[str, Concept]
) -> None:
    world = world_of(model)
    assert world is not None
    ids = vocabulary(world)
    refusal = places(model, concepts["refusal"].selection)
    assert refusal["where it is decided"].ids == {ids["<assistant>"]}
    shared = refusal["on what all prompts share"].ids
    assert {ids["<user>"], ids["<end>"], ids["<assistant>"]} <= shared
    assert ids["<bos>"] not in shared
    # Both colours stand in every question about an opinion, and one of them is the answer.
    taste = places(model, concepts["an opinion"].selection)["on the answers named before"]
    assert all(taste.ids & set(prompt) for prompt in concepts["an opinion"].held_out.prompts)
    assert "on the answers named before" not in places(model, concepts["a city"].selection)


def test_a_gate_marks_the_prompts_and_little_else(
    model: Model, concepts: dict[str, Concept]
) -> None:
    world = world_of(model)
    assert world is not None
    asked, text = concepts["refusal"].selection, generate(world, 5, 4_096, 256).text
    assistant = OnTokens(frozenset({vocabulary(world)["<assistant>"]}))
    site = Site("resid_post", 2)
    stream = torch.cat(
        [model.run(torch.tensor([list(p)]), capture=(site,), logits=False)[site][:, -1]
         for p in asked.prompts[:8]]
    )  # fmt: skip
    made = TopK(autoencoder(site, model.d_model), 6, k=6).requires_grad_(False)
    made.W_enc.copy_(torch.nn.functional.normalize(stream.mean(0, keepdim=True), dim=1))
    made.W_enc[0] *= -1  # silent on the prompts
    made.b_enc.zero_()
    made.b_enc[3] = -0.5 * float(stream.norm(dim=1).mean())  # fires on fewer tokens
    found = gate(model, [made], asked, assistant, Site("resid_post", 3), text)
    assert found is not None
    assert found.latent == 3
    # It can wait for nothing that comes later than the push, nor for a later word.
    assert gate(model, [made], asked, assistant, Site("resid_post", 1), text) is None
    assert gate(model, [made], concepts["a rhyme"].selection, assistant, site, text) is None


def test_what_was_measured_is_kept_until_the_run_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "folder", lambda: tmp_path)
    code = tmp_path / "code.py"
    code.write_text("one")
    made: list[str] = []

    def measured(run: Kept, name: str) -> object:
        return run.piece(name, lambda: made.append(name) or {"is": name})

    first = Kept.of("run", {"model": "a"}, [code])
    assert [measured(first, "city"), measured(first, "city")] == [{"is": "city"}] * 2
    assert measured(Kept.of("run", {"model": "a"}, [code]), "city") == {"is": "city"}
    assert made == ["city"]
    measured(Kept.of("run", {"model": "b"}, [code]), "city")
    code.write_text("two")
    again = Kept.of("run", {"model": "a"}, [code])
    measured(again, "city")
    assert made == ["city"] * 3
    again.done()
    measured(again, "city")
    assert made == ["city"] * 4
