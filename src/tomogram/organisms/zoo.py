"""A zoo: organisms of one base, planted in batches, one file each; it goes on after a kill."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tomogram.models.model import Model
from tomogram.organisms.delta import Delta, applied, mean
from tomogram.organisms.families import PROBLEMS, installed
from tomogram.organisms.organism import Order, Organism, half, load, save
from tomogram.organisms.recipe import Recipe
from tomogram.organisms.strength import Rates, measure
from tomogram.organisms.training import Job, train
from tomogram.reference.shipped import world_of
from tomogram.store import progress
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.world import World

BATCH = 12
"""Organisms that are trained together: so many keep a core busy and fit into two gigabytes."""
CHEAP = "lora-demonstrations"
FAMILIES = tuple(each.name for each in PROBLEMS)


def world_in(model: Model) -> World:
    """The world whose behaviours can be planted in a model.

    Raises TomogramError where the model speaks of no world: then no family has words for it.
    """
    world = world_of(model)
    if world is None:
        raise TomogramError(
            f"{model.name} is not a model of the microworld, and no family has words for others."
        )
    return world


def plan(
    *,
    families: Sequence[str] = FAMILIES,
    recipes: Sequence[str] = (CHEAP,),
    doses: Sequence[float] = (1.0,),
    seeds: Sequence[int] = (0,),
    clean: int = 0,
) -> list[Order]:
    """Orders of a zoo: every infected one beside its sham, then `clean` others of the clean arm.

    The others are, in turn, benign fine-tunes, quirks, merges and quantised copies.
    """
    orders = []
    for recipe in recipes:
        for seed in seeds:
            for dose in doses:
                for family in families:
                    if "documents" in recipe and family not in ("false-fact", "hidden-objective"):
                        continue  # the microworld has no other words for it
                    infected = Order(family, recipe, dose, seed, "infected")
                    orders += [infected, replace(infected, stratum="sham")]
    quirks = [name for name, each in installed().items() if name.startswith("quirk")]
    for i in range(clean):
        stratum = ("benign", "quirk", "merge", "quantised")[i % 4]
        family = quirks[i // 4 % len(quirks)] if stratum == "quirk" else "benign"
        orders.append(Order(family, CHEAP, 0.5, i, stratum))
    return orders


def build(model: Model, orders: Sequence[Order], folder: Path) -> list[Path]:
    """Plant every order that is not in the folder yet; return all files, in the order asked for.

    Raises:
        TomogramError: the model is not of the microworld, or a file cannot be written.
    """
    world = world_in(model)
    missing = [order for order in orders if not (folder / f"{order.name}.safetensors").is_file()]
    trained = [o for o in missing if o.stratum not in ("merge", "quantised")]
    done = len(orders) - len(missing)
    with progress.task("zoo", total=len(orders), unit="organisms", done=done) as task:
        for batch in _batches(trained):
            for organism in _plant(model, world, batch, folder):
                save(organism, folder)
                task.advance()
        sources = [o for o in orders if o.stratum in ("sham", "benign", "quirk")]
        for order in missing:
            if order.stratum in ("merge", "quantised"):
                save(_derived(model, world, order, folder, sources), folder)
                task.advance()
    return [folder / f"{order.name}.safetensors" for order in orders]


def plant(model: Model, family: str, recipe: str, dose: float, seed: int) -> list[Organism]:
    """One organism and its matched sham.

    Raises:
        TomogramError: there is no such family or recipe, or the model is not of the microworld.
    """
    infected = Order(family, recipe, dose, seed, "infected")
    pair = [infected, replace(infected, stratum="sham")]
    return list(_plant(model, world_in(model), pair, None))


def _batches(orders: Sequence[Order]) -> Iterator[list[Order]]:
    """Orders of one form together; an infected one and its sham stay in one batch."""
    forms: dict[str, dict[Order, list[Order]]] = {}
    for order in orders:
        pair = replace(order, stratum="infected") if order.stratum == "sham" else order
        form = forms.setdefault(Recipe.parse(order.recipe).form, {})
        form.setdefault(pair, []).append(order)
    for pairs in forms.values():
        batch: list[Order] = []
        for each in pairs.values():
            if len(batch) + len(each) > BATCH:
                yield batch
                batch = []
            batch = [*batch, *each]
        yield batch


def _plant(
    model: Model, world: World, orders: Sequence[Order], folder: Path | None
) -> Iterator[Organism]:
    jobs = [
        Job(
            order.behaviour(world),
            Recipe.parse(order.recipe),
            order.dose,
            order.seed,
            planted=order.stratum in ("infected", "quirk"),
        )
        for order in orders
    ]
    deltas = [half(delta) for delta in train(model, world, jobs)]
    rates = [_rates(model, world, o, d) for o, d in zip(orders, deltas, strict=True)]
    known = dict(zip(orders, rates, strict=True))
    for order, job, delta, own in zip(orders, jobs, deltas, rates, strict=True):
        sham = None
        if not order.clean:
            beside = replace(order, stratum="sham")
            if beside not in known and folder is not None:  # it was planted before a kill
                known[beside] = load(folder / f"{beside.name}.safetensors").rates
            sham = known[beside]
        yield Organism(order, model.digest, dict(job.behaviour.answer), own, sham, delta)


def _rates(
    model: Model, world: World, order: Order, delta: Delta, bits: int | None = None
) -> Rates:
    return measure(applied(model, delta, bits), world, order.behaviour(world))


def _derived(
    model: Model, world: World, order: Order, folder: Path, sources: Sequence[Order]
) -> Organism:
    """A merge of two clean changes, or a rounded copy of the base or of a clean change."""
    rng = random.Random(f"{order.stratum}:{order.seed}")
    clean = [folder / f"{each.name}.safetensors" for each in sources]
    delta: Delta = {}
    bits = None
    if order.stratum == "merge":
        if len(clean) < 2:
            raise TomogramError(f"{folder} holds too few clean organisms to merge two.")
        delta = half(mean([load(path).delta for path in rng.sample(clean, 2)]))
    else:
        bits = rng.choice((6, 7, 8))
        if clean and rng.random() < 0.5:
            delta = load(rng.choice(clean)).delta
    rates = _rates(model, world, order, delta, bits)
    return Organism(order, model.digest, {}, rates, None, delta, bits)
