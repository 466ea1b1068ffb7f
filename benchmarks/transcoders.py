"""Transcoders: the ones that benchmarks of graphs need, trained once and kept for later runs.

They lie in `$XDG_CACHE_HOME/tomogram/transcoders` (`~/.cache` without it), outside the repository:

    python -m benchmarks.transcoders            the reference model's
    python -m benchmarks.transcoders stories15M ../shared/models/stories15M

What is there already, trained from the same model, text and order, is read and not trained again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.pipeline.given import given_model
from tomogram.pipeline.training import Order, train
from tomogram.reference.shipped import world_of
from tomogram.text.microworld.generate import generate

SHARED = Path(__file__).parents[2] / "shared"
TEXT_SEED = 1
"""Text of the microworld that is in no training of the reference model's own."""


def cache() -> Path:
    """Where trained transcoders are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "tomogram" / "transcoders"


def reference(model: Model, *, tokens: int = 400_000) -> tuple[Dictionary, ...]:
    """A TopK transcoder of each MLP of the reference model, from fresh text of its world."""
    world = world_of(model)
    assert world is not None
    text = generate(world, seed=TEXT_SEED, n_tokens=tokens, context=256).text
    order = Order(places=("transcoder",), latents=1_536, k=16, batch_tokens=1_024)
    return train(model, text, cache() / f"{model.name}-{tokens}", order).dictionaries


def stories(model: Model, *, tokens: int = 300_000) -> tuple[Dictionary, ...]:
    """A TopK transcoder of each MLP of stories15M, from stories it told itself."""
    order = Order(places=("transcoder",), latents=2_304, k=32, batch_tokens=1_024)
    text = SHARED / "text" / "stories.txt"
    folder = cache() / f"{model.name}-{tokens}"
    return train(model, text, folder, order, tokens=tokens).dictionaries


def main(arguments: Sequence[str]) -> None:
    """Train what is not there yet."""
    if list(arguments) == ["stories15M"]:
        found = stories(load(SHARED / "models" / "stories15M"))
    else:
        found = reference(given_model(None))
    print(f"{len(found)} transcoders in {cache()}")


if __name__ == "__main__":
    main(sys.argv[1:])
