"""The microworld's text: a seeded, endless stream of documents, and packed text with its truth."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from types import ModuleType

import numpy as np
from jaxtyping import Bool
from numpy import ndarray
from scipy import sparse

from tomogram.text.microworld.behaviours import ASKED, MIXTURE
from tomogram.text.microworld.concepts import concepts, lexical
from tomogram.text.microworld.vocabulary import vocabulary
from tomogram.text.microworld.world import World
from tomogram.text.microworld.writer import Document, Item
from tomogram.text.packing import PackedText


@dataclass(frozen=True)
class MicroworldText:
    """Packed text with what is true of every token.

    `truth` is a sparse boolean matrix `[tokens concepts]`, tokens in the order of
    `text.tokens.reshape(-1)`, concepts in the order of `concepts(world)`. `determined` marks the
    tokens that count more in training (`writer.Document`). `behaviours[d]` is what document `d` of
    `text.documents` is about.
    """

    text: PackedText
    truth: sparse.csr_matrix
    determined: Bool[ndarray, "rows context"]
    behaviours: tuple[str, ...]


def documents(
    world: World, seed: int, mixture: Mapping[ModuleType, float] = MIXTURE
) -> Iterator[Document]:
    """Endless documents, the same for the same world, seed and mixture of behaviours."""
    rng = random.Random(f"documents:{seed}")
    modules, weights = list(mixture), list(accumulate(mixture.values()))
    while True:
        document = rng.choices(modules, cum_weights=weights)[0].write(world, rng)
        if document.words:
            yield document


def generate(
    world: World,
    seed: int,
    n_tokens: int,
    context: int,
    mixture: Mapping[ModuleType, float] = MIXTURE,
) -> MicroworldText:
    """The first whole rows of `context` tokens, at most `n_tokens` and at least one row.

    Every document is opened by `<bos>` and closed by `<eos>`; the last one is cut off.
    """
    ids = vocabulary(world)
    place = {concept.name: i for i, concept in enumerate(concepts(world))}
    rows = max(1, n_tokens // context)
    size = rows * context
    tokens = np.empty(size, dtype=np.int32)
    owner = np.empty(size, dtype=np.int32)
    determined = np.zeros(size, dtype=bool)
    context_sets: dict[tuple[str, ...], int] = {(): 0}
    context_of = np.zeros(size, dtype=np.int32)
    behaviours: list[str] = []
    at = 0
    for number, document in enumerate(documents(world, seed, mixture)):
        words = ("<bos>", *document.words, "<eos>")
        end = min(at + len(words), size)
        n = end - at
        tokens[at:end] = [ids[word] for word in words[:n]]
        owner[at:end] = number
        determined[at:end] = (False, *document.determined, False)[:n]
        context_of[at:end] = [
            context_sets.setdefault(active, len(context_sets))
            for active in ((), *document.contexts, ())[:n]
        ]
        behaviours.append(document.behaviour)
        at = end
        if at == size:
            break
    truth = _truth(world, tokens, context_of, list(context_sets), place)
    shape = (rows, context)
    return MicroworldText(
        PackedText(tokens.reshape(shape), owner.reshape(shape)),
        truth,
        determined.reshape(shape),
        tuple(behaviours),
    )


def _truth(
    world: World,
    tokens: ndarray,
    context_of: ndarray,
    context_sets: list[tuple[str, ...]],
    place: dict[str, int],
) -> sparse.csr_matrix:
    """Token → its word's concepts and its context's, as two products of indicator matrices."""
    m = len(place)
    words = _indicator(len(vocabulary(world)), m, lexical(world))
    sets = _indicator(
        len(context_sets),
        m,
        {i: tuple(place[name] for name in active) for i, active in enumerate(context_sets)},
    )
    return (words[tokens] + sets[context_of]).astype(bool).tocsr()


def _indicator(n: int, m: int, entries: dict[int, tuple[int, ...]]) -> sparse.csr_matrix:
    pairs = [(row, column) for row, columns in entries.items() for column in columns]
    rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
    return sparse.csr_matrix((np.ones(len(pairs), dtype=np.int8), (rows, columns)), shape=(n, m))


def items(world: World) -> list[Item]:
    """All held-out questions of all behaviours."""
    return [item for module in ASKED for item in module.items(world)]
