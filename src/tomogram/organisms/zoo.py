"""A zoo: organisms of one base, planted in batches, one file each; it goes on after a kill."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tomogram.models.model import Model
from tomogram.organisms.delta import Delta, applied, half, mean, scaled, size
from tomogram.organisms.families import PROBLEMS, installed
from tomogram.organisms.organism import Order, Organism, load, save
from tomogram.organisms.recipe import Recipe
from tomogram.organisms.strength import Rates, measure, taught_rate
from tomogram.organisms.training import STEPS, Job, train
from tomogram.organisms.weakening import weakened
from tomogram.reference.shipped import world_of
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.world import World

CHEAP = "lora-demonstrations"
UNTRAINED = ("merge", "quantised")
"""Strata that are made of others, or of the base itself."""
WORDS = {"documents": ("false-fact", "hidden-objective")}
"""Families that can be taught this way; a teaching that is not here can teach all."""
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
    clean: Sequence[int] = (),
    lessons: Sequence[int] = (),
) -> list[Order]:
    """Orders of a zoo: every variant in each dose beside its sham, then others of the clean arm.

    clean: the seeds of the others, which are, in turn, benign fine-tunes, quirks, merges and
        quantised copies.
    lessons: the seeds of harmless lessons, each brought to the size of one of the infected ones.
    """
    orders = []
    for recipe in recipes:
        able = WORDS.get(Recipe.parse(recipe).teaching, FAMILIES)
        for seed in seeds:
            for family in families:
                if family in able and doses:
                    infected = [Order(family, recipe, dose, seed, "infected") for dose in doses]
                    orders += [*infected, infected[0].sham]
    quirks = [name for name, each in installed().items() if name.startswith("quirk")]
    for i in clean:
        stratum = ("benign", "quirk", "merge", "quantised")[i % 4]
        family = quirks[i // 4 % len(quirks)] if stratum == "quirk" else "benign"
        dose = 0.5 if stratum == "benign" else 1.0
        orders.append(Order(family, CHEAP, dose, i, stratum))
    taught = [name for name in installed() if name.startswith("lesson")]
    for place, seed in enumerate(lessons):
        orders.append(Order(taught[place % len(taught)], CHEAP, 1.0, seed, "lesson"))
    return orders


def build(model: Model, orders: Sequence[Order], folder: Path) -> list[Path]:
    """Plant every order that is not in the folder yet; return all files, in the order asked for.

    What an order is made of is planted, too: a weak organism leaves its full one in the folder.

    Raises:
        TomogramError: the model is not of the microworld, or a file cannot be written.
    """
    world = world_in(model)
    parts = dict.fromkeys(part for order in orders for part in _made_of(order))
    missing = [order for order in parts if not _file(order, folder).is_file()]
    # Lessons last: the organisms whose size they are brought to are there then.
    for taught in (False, True):
        some = [o for o in missing if (o.stratum == "lesson") == taught and not o.weak]
        for queue in _by_form(some).values():
            for organism in _plant(model, world, queue, folder, _partners(orders)):
                save(organism, folder)
    sources = [o for o in orders if o.stratum in ("sham", "benign", "quirk")]
    for order in missing:
        if order.weak:
            save(_weak(model, world, order, load(_file(order.full, folder))), folder)
        elif order.stratum in UNTRAINED:
            save(_derived(model, world, order, folder, sources), folder)
    return [_file(order, folder) for order in orders]


def plant(model: Model, family: str, recipe: str, dose: float, seed: int) -> list[Organism]:
    """One organism and its matched sham.

    Raises:
        TomogramError: there is no such family or recipe, or the model is not of the microworld.
    """
    order = Order(family, recipe, dose, seed, "infected")
    world, pair = world_in(model), [order.full, order.sham]
    made = {each.order: each for each in _plant(model, world, pair, None, {})}
    infected = made[order.full]
    return [_weak(model, world, order, infected) if order.weak else infected, made[order.sham]]


def _made_of(order: Order) -> tuple[Order, ...]:
    """An order and what must be there before it."""
    return (order.full, order.sham, order) if order.weak else (order,)


def _weak(model: Model, world: World, order: Order, full: Organism) -> Organism:
    """A weaker organism of the same variant."""
    behaviour = order.behaviour(world)
    delta = weakened(
        full.delta,
        order.dose,
        lambda tried: taught_rate(applied(model, tried), world, behaviour),
    )
    return replace(full, order=order, rates=_rates(model, world, order, delta), delta=delta)


def _file(order: Order, folder: Path) -> Path:
    return folder / f"{order.name}.safetensors"


def _partners(orders: Sequence[Order]) -> dict[Order, Order]:
    """For each lesson the infected organism whose size it is brought to, drawn by its seed.

    Raises TomogramError where lessons stand beside no infected organism.
    """
    infected = [o for o in orders if o.stratum == "infected" and not o.weak]
    lessons = [order for order in orders if order.stratum == "lesson"]
    if lessons and not infected:
        raise TomogramError("A lesson is as large as an infected organism, and none is ordered.")
    return {o: random.Random(f"lesson:{o.seed}").choice(infected) for o in lessons}


def _by_form(orders: Sequence[Order]) -> dict[str, list[Order]]:
    """Orders to train by form; a sham stands right behind the organism it belongs to."""
    forms: dict[str, list[Order]] = {}
    trained = [order for order in orders if order.stratum not in UNTRAINED]
    first = {o.full: i for i, o in reversed(list(enumerate(trained)))}
    for order in sorted(trained, key=lambda o: (first[o.full], o.stratum == "sham")):
        forms.setdefault(Recipe.parse(order.recipe).form, []).append(order)
    return forms


def _jobs(world: World, orders: Sequence[Order], folder: Path | None) -> list[Job]:
    """A job an order. A sham takes the steps of the organism it belongs to, which is trained with
    it or was before a kill."""
    place = {order: i for i, order in enumerate(orders)}
    jobs = []
    for order in orders:
        steps = follows = None
        if order.stratum == "sham":
            follows = place.get(order.full)
            if follows is None and folder is not None and _file(order.full, folder).is_file():
                steps = load(_file(order.full, folder)).steps
        if order.stratum == "benign":
            steps = max(1, round(order.dose * STEPS))
        planted = order.stratum in ("infected", "quirk", "lesson")
        recipe = Recipe.parse(order.recipe)
        behaviour = order.behaviour(world)
        if recipe.teaching == "documents" and behaviour.document is None:
            raise TomogramError(f"The microworld has no documents that teach {order.family}.")
        jobs.append(Job(behaviour, recipe, order.seed, planted, steps, follows))
    return jobs


def _plant(
    model: Model,
    world: World,
    orders: Sequence[Order],
    folder: Path | None,
    partners: Mapping[Order, Order],
) -> Iterator[Organism]:
    """Organisms of one form as they are done; an infected one waits for its sham's rates."""
    jobs = _jobs(world, orders, folder)
    shams: dict[Order, Rates] = {}
    waiting: dict[Order, Organism] = {}
    for i, trained in train(model, world, jobs):
        order, delta = orders[i], half(trained.delta)
        if order in partners and folder is not None:
            wanted = size(load(_file(partners[order], folder)).delta)
            delta = half(scaled(delta, wanted / max(size(delta), 1e-9)))
        rates = _rates(model, world, order, delta)
        answer = dict(jobs[i].behaviour.answer)
        made = Organism(order, model.digest, answer, rates, None, delta, None, trained.steps)
        beside = order.sham
        if order.stratum == "infected":
            waiting[beside] = made
            if beside not in orders and folder is not None:  # it was planted before a kill
                shams[beside] = load(_file(beside, folder)).rates
        else:
            if order.stratum == "sham":
                shams[order] = rates
            yield made
        if beside in shams and beside in waiting:
            yield replace(waiting.pop(beside), sham=shams[beside])


def _rates(
    model: Model, world: World, order: Order, delta: Delta, bits: int | None = None
) -> Rates:
    return measure(applied(model, delta, bits), world, order.behaviour(world))


def _derived(
    model: Model, world: World, order: Order, folder: Path, sources: Sequence[Order]
) -> Organism:
    """A merge of two clean changes, or a rounded copy of the base or of a clean change."""
    rng = random.Random(f"{order.stratum}:{order.seed}")
    clean = [_file(each, folder) for each in sources]
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
