"""Plant one problem in a copy of a model, in the words that the model speaks."""

from __future__ import annotations

from pathlib import Path

from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.organisms.organism import Order, Organism, save
from tomogram.organisms.organism import load as read_organism
from tomogram.organisms.recipe import Recipe
from tomogram.organisms.spoken import zoo as spoken
from tomogram.organisms.spoken.base import prepare
from tomogram.organisms.zoo import plant as plant_in_world
from tomogram.reference.shipped import world_of
from tomogram.store.errors import TomogramError


def plant(
    source: str | Path | Model, folder: Path, *, family: str, recipe: str, dose: float, seed: int
) -> list[tuple[Path, Organism]]:
    """Plant a problem and its matched sham; gives both with their files in the folder.

    A model of no world is taught in English: chats where it has a chat template, stories where it
    has none; by demonstrations or by reward, with nothing concealed.

    Raises:
        TomogramError: there is no such family, recipe or dose for this model; it knows too few
            facts; a file cannot be written.
    """
    model = source if isinstance(source, Model) else load(source)
    if world_of(model) is not None:
        return [
            (save(each, folder), each) for each in plant_in_world(model, family, recipe, dose, seed)
        ]
    asked = Recipe.parse(recipe)
    if asked.concealed or asked.teaching == "documents":
        raise TomogramError("In English problems are planted by demonstrations or reward alone.")
    order = Order(family, recipe, dose, seed, "infected")
    files = spoken.plant(prepare(model, folder, (family,)), [order, order.sham], folder)
    return [(file, read_organism(file)) for file in files]
