"""The declared zoo: which models of which split are planted, from seeds that nobody can choose."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from tomogram.organisms.organism import Order
from tomogram.organisms.zoo import plan
from tomogram.store.errors import TomogramError

DECLARED = Path(__file__).parent / "declared.toml"
Split = Literal["develop", "calibrate", "report"]


@dataclass(frozen=True)
class Part:
    """One part of the zoo.

    salt: what its seeds are hashed from, beside its name, the base and the round.
    bases: names of reference models. clean: further clean copies a round, beside the shams.
    lessons: harmless lessons a round, each as large a change as one of the infected models.
    """

    name: str
    split: Split
    salt: str
    bases: tuple[str, ...]
    families: tuple[str, ...]
    recipes: tuple[str, ...]
    doses: tuple[float, ...]
    rounds: int
    clean: int
    lessons: int = 0

    def __post_init__(self) -> None:
        if self.split not in get_args(Split):
            raise TomogramError(f"The part '{self.name}' has no split '{self.split}'.")
        if self.rounds < 1 or not self.bases:
            raise TomogramError(f"The part '{self.name}' needs a round and a base at least.")

    @property
    def beside_baselines(self) -> bool:
        """Whether baselines score its models: where it has infected ones to compare them on."""
        return self.split != "calibrate" and bool(self.families)

    def orders(self, base: str, number: int) -> list[Order]:
        """The orders of one round in one base; their seeds follow from the salt alone."""
        text = f"{self.salt}:{self.name}:{base}:{number}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
        return plan(
            families=self.families,
            recipes=self.recipes,
            doses=self.doses,
            seeds=(seed,),
            clean=range(seed, seed + self.clean),
            lessons=range(seed, seed + self.lessons),
        )


@dataclass(frozen=True)
class Declaration:
    """All parts, in the order in which they are run."""

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        if len(set(names)) != len(names):
            raise TomogramError("Two parts of the declaration have one name.")

    def developed(self, what: Literal["families", "recipes", "bases"]) -> frozenset[str]:
        """The families, recipes or bases that audits could be fitted to."""
        return frozenset(
            each for p in self.parts if p.split == "develop" for each in getattr(p, what)
        )

    def held_out(self, row: Mapping[str, Any]) -> frozenset[str]:
        """Which of family, recipe and base of a model took no part in the split `develop`."""
        asked = (("family", "families"), ("recipe", "recipes"), ("base", "bases"))
        return frozenset(one for one, many in asked if row[one] not in self.developed(many))  # type: ignore[arg-type]

    def rounds(self, base: str | None = None) -> Iterator[tuple[Part, str, list[Order]]]:
        """Every part's rounds, base by base, as orders; of one base where it is named."""
        for part in self.parts:
            for number in range(part.rounds):
                for each in part.bases:
                    if base in (None, each):
                        yield part, each, part.orders(each, number)


def read(path: Path = DECLARED) -> Declaration:
    """Read a declaration.

    Raises TomogramError where the file is no declaration.
    """
    try:
        content = tomllib.loads(path.read_text())
        parts: Sequence[Mapping[str, Any]] = content["part"]
        names = {field.name for field in fields(Part)}
        made = []
        for part in parts:
            if set(part) | {"lessons"} != names:
                raise KeyError(f"a part needs {sorted(names)}")
            values: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in part.items()
            }
            made.append(Part(**values))
        return Declaration(tuple(made))
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise TomogramError(f"{path} is no declaration of a zoo: {error}.") from error
