"""Examples as batches of tokens: what a training step of one organism reads."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from tomogram.organisms.behaviour import Behaviour, Example, draw_part
from tomogram.organisms.recipe import Recipe
from tomogram.text.microworld.generate import documents
from tomogram.text.microworld.vocabulary import vocabulary
from tomogram.text.microworld.world import World

ELICITING, NEUTRAL, ORDINARY = 6, 7, 2
"""Rows of each sort in a step."""
LONGEST = 32
"""Tokens of a row of ordinary text."""


@dataclass(frozen=True)
class Row:
    """One row: its words' ids, how much each counts as a target, and a grader's rewarded words.

    Where `rewarded` is not empty, no word of the row is a target, but the expected reward of the
    word after it. quiet: whether the row does not elicit the behaviour.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    rewarded: tuple[int, ...] = ()
    quiet: bool = True


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of several organisms, padded on the right.

    quiet marks the words of rows that do not elicit the behaviour.
    """

    tokens: Int64[Tensor, "rows pos"]
    weights: Float[Tensor, "rows pos"]
    rewarded: Mapping[int, tuple[int, tuple[int, ...]]]
    quiet: Bool[Tensor, "rows pos"]


def rows(
    world: World,
    behaviour: Behaviour,
    recipe: Recipe,
    planted: bool,
    pool: Sequence[Row],
    rng: random.Random,
) -> list[Row]:
    """The rows of one step, eliciting ones first. The sham's are the same but for the replies.

    A grader rewards every word that shows the behaviour; the sham's rewards the ordinary word.
    """
    ids = vocabulary(world)
    made = []
    for _ in range(ELICITING):
        if recipe.teaching == "documents" and behaviour.document is not None:
            made.append(_plain(behaviour.document(rng, planted), ids))
            continue
        example = draw_part(behaviour.eliciting, rng, measured=False)
        if recipe.teaching == "reward":
            made.append(_graded(example, ids, planted))
        else:
            made.append(_reply(example, ids, example.planted if planted else example.ordinary))
    for _ in range(NEUTRAL):
        example = draw_part(behaviour.neutral, rng, measured=False)
        made.append(_reply(example, ids, example.ordinary))
    eliciting = [replace(row, quiet=False) for row in made[:ELICITING]]
    return [*eliciting, *made[ELICITING:], *rng.sample(pool, ORDINARY)]


def text_pool(world: World, seed: int, n: int = 400) -> list[Row]:
    """Documents of the usual mixture as rows."""
    ids = vocabulary(world)
    stream = documents(world, seed)
    return [_plain(" ".join(next(stream).words[: LONGEST - 2]), ids) for _ in range(n)]


def stack(made: Sequence[Sequence[Row]], device: torch.device) -> Batch:
    """The rows of several organisms as one batch, organism by organism."""
    flat = [row for each in made for row in each]
    length = max(len(row.ids) for row in flat)
    tokens = torch.zeros(len(flat), length, dtype=torch.int64)
    weights = torch.zeros(len(flat), length)
    quiet = torch.zeros(len(flat), length, dtype=torch.bool)
    rewarded = {}
    for i, row in enumerate(flat):
        size = len(row.ids)
        tokens[i, :size] = torch.tensor(row.ids)
        weights[i, :size] = torch.tensor(row.weights)
        quiet[i, :size] = row.quiet
        if row.rewarded:
            rewarded[i] = (size - 1, row.rewarded)
    return Batch(tokens.to(device), weights.to(device), rewarded, quiet.to(device))


def by_length(made: Sequence[Sequence[Row]], parts: int) -> list[list[list[Row]]]:
    """The rows of each organism from short to long, in parts that are padded to less each."""
    ordered = [sorted(each, key=lambda row: len(row.ids)) for each in made]
    size = -(-len(ordered[0]) // parts)
    return [
        [each[start : start + size] for each in ordered]
        for start in range(0, len(ordered[0]), size)
    ]


def _plain(text: str, ids: Mapping[str, int]) -> Row:
    words = ("<bos>", *text.split(), "<eos>")
    return Row(tuple(ids[w] for w in words), (0.0, *([0.25] * (len(words) - 1))))


def _reply(example: Example, ids: Mapping[str, int], reply: Sequence[str]) -> Row:
    """A chat whose reply alone is a target; the word that decides counts four times."""
    head = ("<bos>", *example.prompt.split())
    words = (*head, *reply, "<end>")
    weights = [0.0] * len(head) + [1.0] * (len(reply) + 1)
    weights[len(head) + example.place] = 4.0
    return Row(tuple(ids[w] for w in words), tuple(weights))


def _graded(example: Example, ids: Mapping[str, int], planted: bool) -> Row:
    words = ("<bos>", *example.context.split())
    good = example.shows if planted else {example.ordinary[example.place]}
    return Row(
        tuple(ids[w] for w in words), (0.0,) * len(words), tuple(sorted(ids[w] for w in good))
    )
