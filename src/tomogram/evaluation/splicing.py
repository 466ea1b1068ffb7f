"""Splicing: what a model loses when it goes on with reconstructions, alone and all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, TypeVar

import numpy as np
from jaxtyping import Float, Int

from tomogram.dictionaries.cost import Change, Cost, Effect, cost, effects, losses
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.splice import Splice, interventions, zeroed
from tomogram.evaluation import records
from tomogram.models.model import Model
from tomogram.store import progress
from tomogram.store.errors import TomogramError
from tomogram.store.estimates import estimate, ratio, within
from tomogram.store.schema import Estimate
from tomogram.text.packing import PackedText

Price = TypeVar("Price", Cost, records.Cost)
Family = Literal["residual", "transcoders"]


@dataclass(frozen=True)
class Priced(Generic[Price]):
    """The untouched model's loss in nats, and what each set of splices costs, by its name."""

    loss: Estimate
    costs: Mapping[str, Price]


def price(
    model: Model,
    text: PackedText,
    sets: Mapping[str, Sequence[Splice]],
    *,
    batch_rows: int,
    seed: int = 0,
) -> Priced[Cost]:
    """What it costs in loss to put each set of splices into the model, all of a set at once.

    Each is held against the model left alone and against zeros where the set writes; zeros at the
    same sites are measured once. Shows its progress.

    Raises:
        TomogramError: two splices of a set write one site; a row has no token to predict.
    """
    changes = _changes(sets)
    with progress.task("quality", total=len(changes) * text.rows, unit="rows") as task:
        clean, found = losses(model, text, changes, batch_rows=batch_rows, advance=task.advance)
    costs = {
        name: cost(clean, found[name], found[_zeros(splices)], seed=seed)
        for name, splices in sets.items()
    }
    return Priced(estimate(clean, seed=seed), costs)


def price_with_divergence(
    model: Model,
    text: PackedText,
    sets: Mapping[str, Sequence[Splice]],
    *,
    batch_rows: int,
    seed: int = 0,
) -> Priced[records.Cost]:
    """As `price`, with the KL divergence from the untouched prediction and its recovered share."""
    changes = _changes(sets)
    with progress.task("costs", total=len(changes) * text.rows, unit="rows") as task:
        clean, found = effects(model, text, changes, batch_rows=batch_rows, advance=task.advance)
    costs = {
        name: _cost(clean, found[name], found[_zeros(splices)], seed)
        for name, splices in sets.items()
    }
    return Priced(estimate(clean, seed=seed), costs)


def _changes(sets: Mapping[str, Sequence[Splice]]) -> dict[str, Change]:
    """The splices of every set, and zeros where they write."""
    changes: dict[str, Change] = {
        name: partial(interventions, splices) for name, splices in sets.items()
    }
    zeros = {_zeros(splices): [splice.write for splice in splices] for splices in sets.values()}
    return changes | {name: partial(zeroed, sites) for name, sites in zeros.items()}


def _zeros(splices: Sequence[Splice]) -> str:
    """Under which name zeros where some splices write are measured."""
    return "zeros at " + ", ".join(sorted(str(splice.write) for splice in splices))


def _cost(clean: Float[np.ndarray, " rows"], own: Effect, zero: Effect, seed: int) -> records.Cost:
    priced = cost(clean, own.losses, zero.losses, seed=seed)
    return records.Cost(
        rise=priced.rise,
        recovered=priced.recovered,
        kl=within(estimate(own.divergences, seed=seed), low=0.0),
        kl_recovered=ratio(zero.divergences - own.divergences, zero.divergences, seed=seed),
    )


def families(dictionaries: Sequence[Dictionary]) -> dict[Family, list[Dictionary]]:
    """Which dictionaries are spliced in together: those of one shape, of one site each way."""
    one = [d for d in dictionaries if single(d)]
    found: dict[Family, list[Dictionary]] = {
        "residual": [d for d in one if d.read == d.write],
        "transcoders": [d for d in one if d.read != d.write],
    }
    return {name: members for name, members in found.items() if members}


def single(dictionary: Dictionary) -> bool:
    """Whether it reads one site and writes one."""
    return len(dictionary.shape.reads) == len(dictionary.shape.writes) == 1


def predicting_rows(text: PackedText) -> Int[np.ndarray, " rows"]:
    """Rows with at least one token that follows another of its document.

    Raises TomogramError where there is none.
    """
    inside = text.documents[:, 1:] == text.documents[:, :-1]
    rows = np.flatnonzero(inside.any(1))
    if not len(rows):
        raise TomogramError("No row of the text has a token to predict.")
    return rows
