"""What each reference model is: its world, its size, its seed and how long it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from tomogram.store.digest import digest_json
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.generate import generate
from tomogram.text.microworld.world import World

VERSION = 3
"""Raised whenever training computes something else from the same recipe."""


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a reference model's weights.

    `short` and `long` are the tokens trained on in rows of 256 and then of 1,024 tokens; the first
    `copying_first` of them are rich in copying. `dtype` is the number format of the saved weights.
    """

    name: str
    seed: int
    layers: int
    width: int
    world: World = field(default_factory=World)
    short: int = 8_000_000
    long: int = 400_000
    copying_first: int = 400_000
    batch_tokens: int = 2_048
    context: int = 1_024
    dtype: str = "float32"

    @property
    def heads(self) -> int:
        """Number of attention heads, each 32 wide."""
        return self.width // 32

    @property
    def hidden(self) -> int:
        """Width of the MLP: 2¾ times the model's, rounded to 32."""
        return round(self.width * 2.75 / 32) * 32

    @property
    def digest(self) -> str:
        """Digest of the recipe, of the version of the training, and of a sample of its text."""
        sample = generate(self.world, seed=0, n_tokens=20_000, context=self.context).text
        return digest_json({"recipe": asdict(self), "version": VERSION, "text": sample.digest})


REFERENCE = Recipe("microworld", seed=0, layers=4, width=192)

RENAMED = World(seed=1, renamed=True)


def _sibling(number: int, layers: int, width: int, world: World = REFERENCE.world) -> Recipe:
    return Recipe(
        f"sibling-{number}",
        seed=number,
        layers=layers,
        width=width,
        world=world,
        short=1_600_000,
        long=200_000,
        dtype="float16",
    )


SIBLINGS = (
    _sibling(1, layers=4, width=192),
    _sibling(2, layers=3, width=192),
    _sibling(3, layers=5, width=160),
    _sibling(4, layers=6, width=128),
    _sibling(5, layers=4, width=160, world=RENAMED),
    _sibling(6, layers=3, width=256),
    _sibling(7, layers=4, width=128),
    _sibling(8, layers=3, width=160, world=RENAMED),
)


def recipes(names: Sequence[str]) -> tuple[Recipe, ...]:
    """The recipes of these names, each once; `siblings` is all siblings, and no name is all models.

    Raises:
        TomogramError: there is no recipe of a name.
    """
    known: dict[str, tuple[Recipe, ...]] = {each.name: (each,) for each in (REFERENCE, *SIBLINGS)}
    known["siblings"] = SIBLINGS
    for name in names:
        if name not in known:
            raise TomogramError(f"There is no recipe '{name}'; known are {', '.join(known)}.")
    chosen = [recipe for name in names for recipe in known[name]]
    return tuple(dict.fromkeys(chosen)) or (REFERENCE, *SIBLINGS)
