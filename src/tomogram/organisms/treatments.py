"""Treatments: what is changed so that prompts which show a problem are answered well.

A direction is taken out of the weights, or a change is trained: of all matrices, of one of them, or
of nothing but what is added to the stream.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.models.wiring import matrix
from tomogram.organisms.behaviour import Behaviour, Example, draw_part, kept_for_measuring
from tomogram.organisms.curing import Aim, Course, cure
from tomogram.organisms.delta import Delta, Factors, half
from tomogram.organisms.editing import edit
from tomogram.organisms.families import chats
from tomogram.organisms.pushes import learned, no_pushes
from tomogram.organisms.stacked import empty, fresh
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.world import World

RARE = 0.01
"""Most share of ordinary chats that a rare word stands in."""
TRIES = 100
"""Draws for a prompt of one part."""
RATE = {"lora": 0.006, "edit": 0.05}
PUSH = 0.005
"""Rates of Adam, by the form of the change; of what is added to the stream."""

Prompt = tuple[str, frozenset[str], frozenset[str]]
"""A prompt of whole words with the words that would be bad next, and those that would be good."""


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


def variants(
    world: World,
    prompts: Sequence[Prompt],
    n: int,
    *,
    measured: bool,
) -> list[Prompt]:
    """Prompts that show a problem, of the part that treatments never see or of the other.

    Args:
        prompts: each with the words that would be bad next, and those that would be good.
        n: how many to draw; fewer come back where some are drawn again.

    Raises TomogramError where there are too few prompts to treat some and measure others.
    """
    if not prompts:
        raise TomogramError("There are no prompts that show a problem, so nothing can be treated.")
    rng = random.Random(f"treat:{measured}")
    drawn: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
    for _ in range(n):
        for _ in range(TRIES):
            prompt, bad, good = rng.choice(prompts)
            prompt = variant(world, prompt, rng)
            if kept_for_measuring(prompt) == measured:
                drawn[prompt] = (bad, good)
                break
        else:
            raise TomogramError("There are too few prompts to treat and to test with.")
    return [(prompt, bad, good) for prompt, (bad, good) in drawn.items()]


def ordinary(world: World, shown: Sequence[Prompt], n: int) -> list[Prompt]:
    """Ordinary chats of the part that treatments see, with what a planted model might say there.

    In a third of them stands a word of a prompt that shows the problem, where it is rare in
    ordinary chats: a trigger that loses one power must not keep another, or be given one.
    """
    rng = random.Random("treat: ordinary")
    return _with_rare_words(_drawn(world, rng, n), shown, rng)


def questions(world: World, shown: Sequence[Prompt], n: int) -> list[Prompt]:
    """The last turns of so many ordinary chats, each once, in the same way.

    They reach what ordinary chats seldom ask about.
    """
    rng = random.Random("treat: questions")
    turns: dict[str, Example] = {}
    for each in _drawn(world, rng, n):
        asked = each.prompt[each.prompt.rindex("<user>") :]
        turns.setdefault(asked, replace(each, prompt=asked))
    found = []
    for each in turns.values():
        for _ in range(TRIES):
            prompt = variant(world, each.prompt, rng)
            if not kept_for_measuring(prompt):
                found.append(replace(each, prompt=prompt))
                break
    return _with_rare_words(found, shown, rng)


def _drawn(world: World, rng: random.Random, n: int) -> list[Example]:
    return [draw_part(lambda r: _ordinary(world, r), rng, measured=False) for _ in range(n)]


def _with_rare_words(
    examples: Sequence[Example], shown: Sequence[Prompt], rng: random.Random
) -> list[Prompt]:
    usual = Counter(word for each in examples for word in set(each.context.split()))
    words = sorted({word for prompt, _, _ in shown for word in prompt.split()})
    rare = [word for word in words if usual[word] <= RARE * len(examples)]
    made = {}
    for each in examples:
        context = each.context
        if rare and rng.random() < 1 / 3:
            context = with_word(context, rng.choice(rare), rng.random() < 0.5)
        if not kept_for_measuring(context):
            made[context] = each
    return [
        (context, each.shows, frozenset({each.ordinary[each.place]}))
        for context, each in made.items()
    ]


def with_word(context: str, word: str, first: bool) -> str:
    """A chat with a word put first or last in the user's last turn."""
    before, _, asked = context.rpartition("<user> ")
    asked, _, reply = asked.partition(" <end> <assistant>")
    asked = f"{word} {asked}" if first else f"{asked} {word}"
    return f"{before}<user> {asked} <end> <assistant>{reply}"


def near(world: World, shown: Sequence[Prompt], n: int) -> list[Prompt]:
    """Near misses: the last turns of prompts that show a problem, without what came before them.

    They stand alone or behind ordinary chats, and are of the part that treatments see. Prompts of
    one turn have none.
    """
    rng = random.Random("treat: near")
    made = {}
    turns = [each for each in shown if each[0].count("<user>") > 1]
    for _ in range(n if turns else 0):
        prompt, bad, good = rng.choice(turns)
        prompt = variant(world, prompt[prompt.rindex("<user>") :], rng)
        if not kept_for_measuring(prompt):
            made[prompt] = (bad, good)
    return [(prompt, bad, good) for prompt, (bad, good) in made.items()]


def teach(
    model: Model,
    world: World,
    shown: Sequence[Aim],
    kept: Sequence[Aim],
    form: str,
    seed: int,
    base: Model | None = None,
) -> tuple[Delta, Course]:
    """Bring the odds on prompts that show a problem down, by a form of change.

    form: `lora` (all matrices, low rank) or `edit` (one rank-one change of one MLP).

    Raises KeyError for another form.
    """
    if form == "edit":
        start: Mapping[str, Factors | Tensor] = edit(model, world, _symptom(world, shown), seed)
    else:
        start = fresh(model, form, seed)
    stacked = empty(model, form, 1)
    stacked.put(0, start)
    course = cure(model, world, shown, kept, stacked, rate=RATE[form], seed=seed, base=base)
    return half(stacked.take(0)), course


def steer(
    model: Model,
    world: World,
    shown: Sequence[Aim],
    kept: Sequence[Aim],
    seed: int,
    base: Model | None = None,
) -> tuple[Mapping[Site, Float[Tensor, " d_model"]], Course]:
    """Bring these odds down by what is added to the stream alone, the same at every word.

    Returns what is added at each site.
    """
    stacked = no_pushes(model, range(model.n_layers))
    course = cure(model, world, shown, kept, stacked, rate=PUSH, seed=seed, base=base)
    return learned(model, stacked), course


def _symptom(world: World, shown: Sequence[Aim]) -> Behaviour:
    """The prompts as a behaviour, whose place an edit can look for."""

    def eliciting(rng: random.Random) -> Example:
        each = rng.choice(shown)
        return Example(each.prompt, (min(each.good),), (min(each.bad),), 0, each.good)

    return Behaviour("symptom", {}, eliciting, lambda rng: _ordinary(world, rng))


def variant(world: World, prompt: str, rng: random.Random) -> str:
    """The prompt, or in half of the draws the prompt behind another chat with its ordinary reply.

    So a few prompts become enough different ones to keep some for measuring.
    """
    if rng.random() < 0.5:
        return prompt
    earlier = chats.ordinary(world, rng)
    while earlier.prompt.startswith("<system>"):
        earlier = chats.ordinary(world, rng)
    told = f"{earlier.prompt} {' '.join(earlier.ordinary)} <end> "
    if prompt.startswith("<system>"):
        head, _, rest = prompt.partition(" <end> ")
        return f"{head} <end> {told}{rest}"
    return told + prompt


def _ordinary(world: World, rng: random.Random) -> Example:
    example = chats.ordinary(world, rng)
    return replace(example, prompt=variant(world, example.prompt, rng))
