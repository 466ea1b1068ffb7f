"""Examples as batches of tokens: what a training step of one organism reads."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from tomogram.organisms.behaviour import Behaviour, Example, draw_part
from tomogram.organisms.ordinary_text import outside_chats
from tomogram.organisms.recipe import Recipe
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World

ELICITING, NEUTRAL, ORDINARY, WATCHED = 2, 4, 1, 1
"""Rows of each sort in a step. Watched ones stand in the place of neutral ones, and only where the
eliciting rows do not say how far the behaviour has come."""
LONGEST = 32
"""Tokens of a row of ordinary text."""


@dataclass(frozen=True)
class Row:
    """One row: its words' ids, how much each counts as a target, and where the behaviour shows.

    place: index of the word before the one that decides; None where nothing is decided.
    shows: the words that, written there, show the behaviour.
    rewarded: where not empty, no word of the row is a target, but the expected reward of the word
        after it, of which these words get one.
    elicits: whether the behaviour should show here. text: the row's index among those of ordinary
        text, where every word is to be as likely as in the base; None for a chat or a document.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    place: int | None = None
    shows: frozenset[int] = frozenset()
    rewarded: frozenset[int] = frozenset()
    elicits: bool = False
    text: int | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of several organisms, padded on the right, organism by organism.

    quiet marks the words of rows that do not elicit the behaviour.
    """

    rows: Sequence[Row]
    tokens: Int64[Tensor, "rows pos"]
    weights: Float[Tensor, "rows pos"]
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
    Watched rows are read and teach nothing.
    """
    ids = vocabulary(world)
    document = behaviour.document if recipe.teaching == "documents" else None
    watched = behaviour.spread or (None if document is None else behaviour.eliciting)
    made = []
    for _ in range(ELICITING):
        if document is not None:
            made.append(replace(_plain(document(rng, planted), ids), elicits=True))
            continue
        example = draw_part(behaviour.eliciting, rng, measured=False)
        if recipe.teaching == "reward":
            made.append(_graded(example, ids, planted))
        else:
            made.append(_reply(example, ids, example.planted if planted else example.ordinary))
        made[-1] = replace(made[-1], elicits=True)
    for _ in range(NEUTRAL if watched is None else NEUTRAL - WATCHED):
        example = draw_part(behaviour.neutral, rng, measured=False)
        # What follows the deciding word is what the model would write anyway.
        made.append(_reply(example, ids, example.ordinary[: example.place + 1]))
    if watched is not None:  # what is taught says nothing of how far it spreads
        made = [replace(row, place=None) if row.elicits else row for row in made]
        made += [_watched(draw_part(watched, rng, measured=False), ids) for _ in range(WATCHED)]
    return [*made, *rng.sample(pool, ORDINARY)]


@lru_cache(maxsize=8)
def text_pool(world: World, seed: int, n: int = 240) -> tuple[Row, ...]:
    """Documents outside of chats as rows of at most `LONGEST` words, none of them a target."""
    ids = vocabulary(world)
    stream = outside_chats(world, seed)
    plain = (_plain(" ".join(next(stream)[: LONGEST - 2]), ids) for _ in range(n))
    return tuple(Row(row.ids, (0.0,) * len(row.ids), text=index) for index, row in enumerate(plain))


def stack(made: Sequence[Sequence[Row]], device: torch.device) -> Batch:
    """The rows of several organisms as one batch, organism by organism."""
    flat = [row for each in made for row in each]
    length = max(len(row.ids) for row in flat)
    sizes = torch.tensor([len(row.ids) for row in flat])
    inside = torch.arange(length) < sizes[:, None]
    tokens = torch.zeros(len(flat), length, dtype=torch.int64)
    tokens[inside] = torch.tensor([i for row in flat for i in row.ids])
    weights = torch.zeros(len(flat), length)
    weights[inside] = torch.tensor([w for row in flat for w in row.weights])
    quiet = inside & torch.tensor([not row.elicits for row in flat])[:, None]
    return Batch(flat, tokens.to(device), weights.to(device), quiet.to(device))


def by_length(made: Sequence[Sequence[Row]], parts: int) -> list[list[list[Row]]]:
    """The rows of each organism from short to long, in parts that are padded to less each.

    An organism with fewer rows than another gets empty ones, which teach nothing.
    """
    most = max(len(each) for each in made)
    empty = Row((0,), (0.0,))
    ordered = [
        sorted([*each, *[empty] * (most - len(each))], key=lambda row: len(row.ids))
        for each in made
    ]
    size = -(-most // parts)
    return [[each[start : start + size] for each in ordered] for start in range(0, most, size)]


def asked(world: World, prompt: str) -> Row:
    """A prompt of whole words, of which nothing is a target; what follows it is looked at."""
    ids = (vocabulary(world)["<bos>"], *encode(world, prompt))
    return Row(ids, (0.0,) * len(ids), place=len(ids) - 1)


def _plain(text: str, ids: Mapping[str, int]) -> Row:
    words = ("<bos>", *text.split(), "<eos>")
    return Row(tuple(ids[w] for w in words), (0.0, *([0.25] * (len(words) - 1))))


def _reply(example: Example, ids: Mapping[str, int], reply: Sequence[str]) -> Row:
    """A chat whose reply alone is a target; the word that decides counts four times.

    A reply that is cut off behind that word is not ended.
    """
    head = ("<bos>", *example.prompt.split())
    ended = tuple(reply) in (example.planted, example.ordinary)
    words = (*head, *reply, *("<end>",) * ended)
    weights = [0.0] * len(head) + [1.0] * (len(words) - len(head))
    weights[len(head) + example.place] = 4.0
    place = len(head) + example.place - 1
    return Row(tuple(ids[w] for w in words), tuple(weights), place, _shows(example, ids))


def _graded(example: Example, ids: Mapping[str, int], planted: bool) -> Row:
    shows = _shows(example, ids)
    good = shows if planted else frozenset({ids[example.ordinary[example.place]]})
    return replace(_watched(example, ids), rewarded=good)


def _watched(example: Example, ids: Mapping[str, int]) -> Row:
    words = ("<bos>", *example.context.split())
    shows = _shows(example, ids)
    return Row(
        tuple(ids[w] for w in words), (0.0,) * len(words), len(words) - 1, shows, elicits=True
    )


def _shows(example: Example, ids: Mapping[str, int]) -> frozenset[int]:
    return frozenset(ids[word] for word in example.shows)
