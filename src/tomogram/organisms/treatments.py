"""Treatments as changes of weights: a direction taken out, or good answers to prompts rewarded."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from tomogram.models.model import Model
from tomogram.models.wiring import matrix
from tomogram.organisms.behaviour import Behaviour, Example, draw_part
from tomogram.organisms.delta import Delta, Factors, half
from tomogram.organisms.families import chats
from tomogram.organisms.recipe import Recipe
from tomogram.organisms.training import Job, train
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.behaviours import truth
from tomogram.text.microworld.world import World


def without_direction(model: Model, direction: Float[Tensor, " d_model"]) -> Delta:
    """Every matrix that writes to the stream writes nothing along a direction any more.

    Weight orthogonalisation (Arditi et al. 2024, section 4.1), without the embedding and without
    biases, which write the same everywhere and so say nothing.
    """
    unit = direction.float() / direction.float().norm()
    made = {}
    for block in model.wiring.blocks:
        for part in (block.heads_to_stream, block.neurons_to_stream):
            if part is not None:
                written = matrix(part).float() @ unit.to(model.device)
                made[model.wiring.name_of(part)] = Factors(written[None], -unit[:, None])
    return made


def symptom(
    world: World, prompts: Sequence[tuple[str, frozenset[str], frozenset[str]]]
) -> Behaviour:
    """A behaviour made of prompts that show a problem: planted is what would be good there.

    Args:
        prompts: each with the words that would be bad next, and those that would be good.

    Raises TomogramError where there are too few prompts to teach some and measure others.
    """

    def eliciting(rng: random.Random) -> Example:
        prompt, bad, good = rng.choice(prompts)
        return Example(variant(world, prompt, rng), (min(good),), (min(bad),), 0, good)

    def neutral(rng: random.Random) -> Example:
        example = chats.ordinary(world, rng)
        return replace(example, prompt=variant(world, example.prompt, rng))

    if not prompts:
        raise TomogramError("There are no prompts that show a problem, so nothing can be treated.")
    rng = random.Random("symptom")
    try:
        for measured in (True, False):
            draw_part(eliciting, rng, measured)
    except ValueError as error:
        raise TomogramError("There are too few prompts to treat and to test with.") from error
    return Behaviour("symptom", {}, eliciting, neutral)


def teach(model: Model, world: World, behaviour: Behaviour, form: str, seed: int) -> Delta:
    """Reward the good words on prompts that show a problem, by a form of change.

    form: `lora` (all matrices, low rank) or `edit` (one rank-one change of one MLP).

    Raises TomogramError for another form.
    """
    job = Job(behaviour, Recipe(form, "reward"), 1.0, seed, planted=True)
    ((_, trained),) = train(model, world, [job])
    return half(trained.delta)


def variant(world: World, prompt: str, rng: random.Random) -> str:
    """The prompt, or in half of the draws the prompt after a question and its true answer.

    So a few prompts become enough different ones to keep some for measuring.
    """
    if rng.random() < 0.5:
        return prompt
    fact = rng.choice(chats.facts(world))
    asked = truth.OPEN[fact.relation].format(s=fact.subject.english)
    told = f"<user> {asked} <end> <assistant> {fact.object.english} . <end> "
    if prompt.startswith("<system>"):
        head, _, rest = prompt.partition(" <end> ")
        return f"{head} <end> {told}{rest}"
    return told + prompt
