"""Train reference models into a folder, each at most once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from tomogram.reference.card import card
from tomogram.reference.evaluate import measure
from tomogram.reference.recipe import Recipe
from tomogram.reference.train import save, train
from tomogram.store.atomic import discard, replacing_folder, write_text
from tomogram.store.lock import exclusive

DTYPES = {"float16": torch.float16, "float32": torch.float32}


def build(recipes: Sequence[Recipe], out: Path, *, device: str = "cpu") -> tuple[Path, ...]:
    """Train the models that are not in `out` yet, and return the folders of all.

    Each model is a Hugging Face folder of its recipe's name, with a model card of its measured
    figures. A model that is there, made by the same recipe, is not trained again; an interrupted
    training goes on where it was.

    Raises:
        TomogramError: `out` cannot be written, or another process is training the same model there.
    """
    return tuple(_build(recipe, out / recipe.name, device) for recipe in recipes)


def made_by(folder: Path) -> str | None:
    """Digest of the recipe that made the model in a folder, None where no such model is there."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return str(config["microworld"]["recipe"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _build(recipe: Recipe, folder: Path, device: str) -> Path:
    if made_by(folder) == recipe.digest:
        return folder
    partial = folder.with_name(f".{folder.name}.partial")
    with exclusive(partial):
        model = train(recipe, device=device, checkpoint=partial / "checkpoint.pt")
        with replacing_folder(folder) as new:
            save(model, recipe, new, DTYPES[recipe.dtype])
            write_text(new / "README.md", card(recipe, measure(new)))
    discard(partial)
    return folder
