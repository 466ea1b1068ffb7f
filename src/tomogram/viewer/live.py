"""Live: the scanned model at work, for the pages that need it. Loaded when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats.load import load as load_dictionaries
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.reference.recipe import REFERENCE
from tomogram.reference.shipped import path as shipped
from tomogram.report.tokens import visible
from tomogram.report.tomogram import Tomogram
from tomogram.store.errors import TomogramError
from tomogram.viewer.directions import scanned_dictionaries

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Live:
    """A model and those of its dictionaries that read and write one place each."""

    model: Model
    dictionaries: dict[str, Dictionary]
    spelling: tuple[str, ...]

    def dictionary(self, family: str) -> Dictionary:
        """The dictionary of a family of units.

        Raises:
            TomogramError: there is none: the family is of neurons, or is not known.
        """
        if family not in self.dictionaries:
            raise TomogramError(f"There is no dictionary '{visible(family)}' in this scan.")
        return self.dictionaries[family]


@dataclass(frozen=True)
class Source:
    """Where the scanned model and its dictionaries are, as far as the user said."""

    model: str | None = None
    dictionaries: str | None = None
    device: str = "cpu"
    dtype: str = "float32"


class Lazily:
    """Loads the model once, when a page first needs it; one request uses it at a time."""

    def __init__(self, tomogram: Tomogram, source: Source) -> None:
        self._tomogram, self._source = tomogram, source
        self._lock = Lock()
        self._found: Live | None = None

    def use(self, work: Callable[[Live], T]) -> T:
        """What `work` makes of the model, while nobody else uses it.

        Raises:
            TomogramError: the model cannot be had, or is not the scanned one; and what work raises.
        """
        with self._lock:
            if self._found is None:
                self._found = _load(self._tomogram, self._source)
            return work(self._found)


def _load(tomogram: Tomogram, source: Source) -> Live:
    record = tomogram.manifest.model
    name = source.model
    if name is None:
        name = str(shipped()) if record.name == REFERENCE.name else record.name
    try:
        model = load(name, device=source.device, dtype=source.dtype)
    except TomogramError as error:
        if source.model is not None:
            raise
        raise TomogramError(
            "This page needs the scanned model, and a scan does not say where it is: "
            "start `tomogram view` with --model MODEL."
        ) from error
    if model.digest != record.digest:
        raise TomogramError(
            f"{visible(model.name)} is not the scanned model: its weights have another digest."
        )
    dictionaries = scanned_dictionaries(tomogram.folder / "dictionaries")
    if not dictionaries and source.dictionaries is not None:
        dictionaries = load_dictionaries(source.dictionaries, model, tomogram.text)
    simple = {
        d.name: d.to(model.device)
        for d in dictionaries
        if len(d.shape.reads) == 1 == len(d.shape.writes)
    }
    known = set(model.sites)
    usable = {n: d for n, d in simple.items() if {d.read, d.write} <= known}
    return Live(model, usable, tomogram.spelling)
