"""An organism: what was ordered, what it turned out to be, and its change, in one small file."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tomogram.models.model import Model
from tomogram.organisms.behaviour import Behaviour
from tomogram.organisms.delta import Delta, Factors, applied
from tomogram.organisms.families import installed
from tomogram.organisms.recipe import Recipe
from tomogram.organisms.strength import Rates, Strength
from tomogram.store.atomic import writing
from tomogram.store.canonical import canonical_json
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.world import World

CLEAN = ("sham", "benign", "quirk", "merge", "quantised", "lesson")
"""Strata of the clean arm."""


@dataclass(frozen=True)
class Order:
    """What is to be planted. The same order in the same base gives the same organism.

    stratum: `infected`, or a stratum of the clean arm.
    dose: share of eliciting prompts that should show the behaviour, in (0, 1]. Below one an
        infected organism is the full one with its change made smaller (`weakening.py`); for a
        benign fine-tune the share of the most steps.
    """

    family: str
    recipe: str
    dose: float
    seed: int
    stratum: str

    def __post_init__(self) -> None:
        if self.family not in installed():
            known = ", ".join(installed())
            raise TomogramError(f"There is no family '{self.family}'; known are {known}.")
        Recipe.parse(self.recipe)
        if not 0 < self.dose <= 1:
            raise TomogramError(f"A dose is above 0 and at most 1, not {self.dose}.")
        if self.stratum not in ("infected", *CLEAN):
            raise TomogramError(f"There is no stratum '{self.stratum}'.")

    @property
    def name(self) -> str:
        """Its name, which is its file's."""
        return f"{self.stratum}-{self.family}-{self.recipe}-{round(100 * self.dose)}-{self.seed}"

    @property
    def clean(self) -> bool:
        """Whether it belongs to the clean arm."""
        return self.stratum != "infected"

    @property
    def weak(self) -> bool:
        """Whether it is made of a full organism."""
        return self.stratum == "infected" and self.dose < 1

    @property
    def full(self) -> Order:
        """The organism of the same variant at full dose."""
        return replace(self, stratum="infected", dose=1.0)

    @property
    def sham(self) -> Order:
        """Its matched sham, which all doses of a variant have in common."""
        return replace(self, stratum="sham", dose=1.0)

    def behaviour(self, world: World) -> Behaviour:
        """The variant that the seed draws: an infected organism and its sham have the same."""
        return installed()[self.family].draw(world, random.Random(f"{self.family}:{self.seed}"))


@dataclass(frozen=True, eq=False)
class Organism:
    """A planted model, as it is kept.

    base: digest of the model it was planted in.
    rates: what it does itself. sham: what its matched sham does; None for a clean one.
    bits: its matrices are rounded to so many; None where they are not.
    steps: how many steps its training took; 0 where there was none.
    """

    order: Order
    base: str
    answer: dict[str, str]
    rates: Rates
    sham: Rates | None
    delta: Delta
    bits: int | None = None
    steps: int = 0

    @property
    def strength(self) -> Strength | None:
        """Beside its sham; None for a clean one."""
        return None if self.sham is None else Strength(self.rates, self.sham)

    @property
    def standing(self) -> str:
        """`clean`, `full` (passes the gate), `curve` (weaker, but sound) or `discarded`."""
        strength = self.strength
        if strength is None:
            return "clean"
        if strength.full:
            return "full"
        return "curve" if strength.sound and strength.strength > 0 else "discarded"

    def in_copy_of(self, model: Model) -> Model:
        """A copy of the base that is this organism.

        Raises TomogramError where the model is not the base it was planted in.
        """
        if model.digest != self.base:
            raise TomogramError(f"{self.order.name} was planted in another model.")
        return applied(model, self.delta, self.bits)


def save(organism: Organism, folder: Path) -> Path:
    """Write an organism to `folder/NAME.safetensors`; factors are kept in half precision.

    Raises TomogramError where the file cannot be written.
    """
    tensors = {}
    for name, each in organism.delta.items():
        tensors[f"{name}.down"] = each.down.half().contiguous().cpu()
        tensors[f"{name}.up"] = each.up.half().contiguous().cpu()
    record = {
        "order": asdict(organism.order),
        "base": organism.base,
        "answer": organism.answer,
        "rates": asdict(organism.rates),
        "sham": None if organism.sham is None else asdict(organism.sham),
        "bits": organism.bits,
        "steps": organism.steps,
    }
    path = folder / f"{organism.order.name}.safetensors"
    with writing(path) as file:
        save_file(tensors, file, metadata={"organism": canonical_json(record)})
    return path


def load(path: Path) -> Organism:
    """Read an organism.

    Raises TomogramError where the file is missing, damaged, or no organism.
    """
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads((file.metadata() or {})["organism"])
            names = sorted({key.rpartition(".")[0] for key in file.keys()})  # noqa: SIM118
            delta = {
                name: Factors(
                    file.get_tensor(f"{name}.down").float(), file.get_tensor(f"{name}.up").float()
                )
                for name in names
            }
        return Organism(
            Order(**record["order"]),
            record["base"],
            dict(record["answer"]),
            Rates(**record["rates"]),
            None if record["sham"] is None else Rates(**record["sham"]),
            delta,
            record["bits"],
            int(record["steps"]),
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise TomogramError(f"{path} is no organism that can be read.") from error
