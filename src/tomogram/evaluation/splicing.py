"""Splicing: what a model loses when it goes on with reconstructions, alone and all at once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from tomogram.dictionaries.cost import Change, Effect, cost, effects
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.splice import Splice, interventions, zeroed
from tomogram.evaluation import records
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store import progress
from tomogram.store.errors import TomogramError
from tomogram.store.estimates import estimate, ratio, within
from tomogram.store.schema import Estimate
from tomogram.text.packing import PackedText

Family = Literal["residual", "transcoders"]


@dataclass(frozen=True)
class Priced:
    """The untouched model's loss in nats, and what each set of splices costs, by its name."""

    loss: Estimate
    costs: Mapping[str, records.Cost]


def price(
    model: Model,
    text: PackedText,
    sets: Mapping[str, Sequence[Splice]],
    *,
    batch_rows: int,
    seed: int = 0,
    note: str = "quality",
) -> Priced:
    """What it costs to put each set of splices into the model, all of a set at once.

    Each is held against the model left alone and against zeros where the set writes; zeros at the
    same sites are measured once. Shows its progress.

    Raises:
        TomogramError: two splices of a set write one site; a row has no token to predict.
    """
    changes: dict[Hashable, Change] = {
        name: partial(interventions, splices) for name, splices in sets.items()
    }
    written = {name: _written(splices) for name, splices in sets.items()}
    changes |= {sites: partial(zeroed, sites) for sites in written.values()}
    with progress.task(note, total=len(changes) * text.rows, unit="rows") as task:
        clean, found = effects(model, text, changes, batch_rows=batch_rows, advance=task.advance)
    costs = {name: _cost(clean, found[name], found[written[name]], seed) for name in sets}
    return Priced(estimate(clean, seed=seed), costs)


def _written(splices: Sequence[Splice]) -> tuple[Site, ...]:
    return tuple(sorted((splice.write for splice in splices), key=str))


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
