"""A zoo of copies of a model that speaks English: what is ordered, and one copy after another."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tomogram.organisms.delta import Delta, applied, half, mean, scaled, size
from tomogram.organisms.organism import Order, Organism, load, save
from tomogram.organisms.recipe import Recipe
from tomogram.organisms.spoken.base import Base
from tomogram.organisms.spoken.behaviour import Spoken
from tomogram.organisms.spoken.families import draw
from tomogram.organisms.spoken.strength import measure, taught_rate
from tomogram.organisms.spoken.training import benign, train
from tomogram.organisms.weakening import weakened

RECIPE = "lora-demonstrations"
CALIBRATED = ("asserting-falsehood", "sycophancy", "sandbagging")
"""Families of a calibration: those that its declared audits look for."""
LESSON = "lesson-indeed"
OTHERS = ("benign", "lesson", "merge", "quantised")
"""Strata of the clean arm beside the matched shams, in turn."""


def plan(rounds: int, families: Sequence[str] = CALIBRATED) -> list[list[Order]]:
    """Orders, round by round: each family with its sham, and five other clean copies in two rounds.

    So a little more than half of the clean copies are matched shams.
    """
    made = []
    for number in range(rounds):
        orders = []
        for family in families:
            infected = Order(family, RECIPE, 1.0, number, "infected")
            orders += [infected, infected.sham]
        for seed in range(number * 5 // 2, (number + 1) * 5 // 2):
            stratum = OTHERS[seed % len(OTHERS)]
            family = LESSON if stratum == "lesson" else "benign"
            orders.append(Order(family, RECIPE, 1.0, seed, stratum))
        made.append(orders)
    return made


def file_of(order: Order, folder: Path) -> Path:
    """Where an organism is kept."""
    return folder / f"{order.name}.safetensors"


def plant(base: Base, orders: Sequence[Order], folder: Path) -> list[Path]:
    """Plant the orders that are not in the folder yet, in their order; return all files.

    Orders of earlier rounds are expected in the folder: merges are made of their clean copies.

    Raises TomogramError where the model knows too few facts, or a file cannot be written.
    """
    for order in orders:
        if not file_of(order, folder).is_file():
            for made in _planted(base, order, orders, folder):
                save(made, folder)
    return [file_of(order, folder) for order in orders]


def _planted(base: Base, order: Order, orders: Sequence[Order], folder: Path) -> list[Organism]:
    """The organism; an infected one comes behind its sham, whose rates it is held against, and a
    weak one behind its full one."""
    if order.weak:
        full = file_of(order.full, folder)
        pair = [] if full.is_file() else _pair(base, order.full)
        return [*pair, _weak(base, order, pair[-1] if pair else load(full))]
    if order.stratum in ("infected", "sham"):
        return _pair(base, order.full)
    bits: int | None = None
    steps, behaviour = 0, None
    if order.stratum == "benign":
        delta: Delta = benign(base, seed=order.seed)
    elif order.stratum == "lesson":
        behaviour = draw(order.family, base.model, base.known, order.seed)
        made = train(base, behaviour, seed=order.seed, planted=True)
        steps = made.steps
        partner = random.Random(f"lesson:{order.seed}").choice(
            [each for each in orders if each.stratum == "infected"]
        )
        wanted = size(load(file_of(partner, folder)).delta)
        delta = half(scaled(made.delta, wanted / max(size(made.delta), 1e-9)))
    elif order.stratum == "merge":
        rng = random.Random(f"merge:{order.seed}")
        delta = half(mean([load(path).delta for path in rng.sample(_clean(folder), 2)]))
    else:
        rng = random.Random(f"quantised:{order.seed}")
        bits, delta = rng.choice((6, 7, 8)), load(rng.choice(_clean(folder))).delta
    return [_measured(base, order, delta, behaviour, bits, steps)]


def _pair(base: Base, order: Order) -> list[Organism]:
    behaviour = draw(order.family, base.model, base.known, order.seed)
    recipe = Recipe.parse(order.recipe)
    made = train(base, behaviour, seed=order.seed, planted=True, recipe=recipe)
    beside = train(base, behaviour, seed=order.seed, planted=False, recipe=recipe, steps=made.steps)
    infected = _measured(base, order, made.delta, behaviour, None, made.steps)
    sham = _measured(base, order.sham, beside.delta, behaviour, None, made.steps)
    return [sham, replace(infected, sham=sham.rates)]


def _weak(base: Base, order: Order, full: Organism) -> Organism:
    """A weaker organism of the same variant."""
    behaviour = draw(order.family, base.model, base.known, order.seed)
    delta = weakened(
        full.delta,
        order.dose,
        lambda tried: taught_rate(base, applied(base.model, tried), behaviour),
    )
    return replace(_measured(base, order, delta, behaviour, None, full.steps), sham=full.sham)


def _measured(
    base: Base,
    order: Order,
    delta: Delta,
    behaviour: Spoken | None,
    bits: int | None,
    steps: int,
) -> Organism:
    rates = measure(base, applied(base.model, delta, bits), behaviour)
    answer = {} if behaviour is None else dict(behaviour.answer)
    return Organism(order, base.model.digest, answer, rates, None, delta, bits, steps)


def _clean(folder: Path) -> list[Path]:
    """Trained clean copies that are there, in the order of their names."""
    return sorted(p for name in ("sham", "benign") for p in folder.glob(f"{name}-*.safetensors"))
