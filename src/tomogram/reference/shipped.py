"""Where the reference models are, and how one is recognised."""

from __future__ import annotations

from pathlib import Path

from tomogram.store.errors import TomogramError
from tomogram.text.microworld.vocabulary import vocabulary
from tomogram.text.microworld.world import World

WEIGHTS = Path(__file__).parent / "weights"


def path() -> Path:
    """Folder of the reference model that is part of this installation.

    Raises:
        TomogramError: this installation has none.
    """
    if not _holds_model(WEIGHTS):
        raise TomogramError(
            "The reference model is not part of this installation; "
            "`tomogram reference build microworld` trains it again."
        )
    return WEIGHTS


def siblings(folder: Path) -> tuple[Path, ...]:
    """Folders of the sibling models, in the order of their names.

    Args:
        folder: what holds them, such as `bases/` of a checkout; an installed package has none.

    Raises:
        TomogramError: there are none.
    """
    found = tuple(sorted(each for each in folder.glob("sibling-*") if _holds_model(each)))
    if not found:
        raise TomogramError(
            f"There are no sibling models in {folder}; "
            "`tomogram reference build siblings` trains them."
        )
    return found


def _holds_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() and (folder / "model.safetensors").is_file()


def world_of(model: object) -> World | None:
    """The world a model was trained on, None where it is no model of the microworld.

    Args:
        model: a `tomogram.models.model.Model`, a Hugging Face model, or its configuration.
    """
    module = getattr(model, "module", model)
    config = getattr(module, "config", module)
    stated = getattr(config, "microworld", None)
    if not isinstance(stated, dict):
        return None
    seed, renamed = stated.get("seed"), stated.get("renamed")
    # A bool is an int, and a configuration may say anything.
    if type(seed) is not int or type(renamed) is not bool:
        return None
    world = World(seed, renamed)
    same_words = getattr(config, "vocab_size", None) == len(vocabulary(world))
    return world if same_words else None
