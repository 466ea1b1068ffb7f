"""Survey: one streaming pass over packed text that observes every unit of every family.

What comes out of two processes that read different rows merges to what one process would have
found (`Observation.merge`), as long as both cut their rows into the same batches: the last bits of
an activation depend on the batch it was computed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from tomogram.activations.stream import Batch as Activations
from tomogram.activations.stream import stream
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.features.exemplars import Batch, Keeper
from tomogram.features.sketches import Sketch
from tomogram.features.statistics import Statistics, scale_of
from tomogram.features.units import (
    NEURON_RATE,
    Family,
    Firings,
    latent_firings,
    neuron_firings,
    neuron_thresholds,
)
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.text.packing import PackedText

TOP = 16
"""Top exemplars kept of each unit."""
SPREAD = 2
"""Spread exemplars kept of each octave of each unit."""
SAMPLED_TOKENS = 2**16
"""Tokens whose firings are kept whole, for labels to be learned and tested on."""


@dataclass(frozen=True)
class Reader:
    """How one family of units is read from activations, the same in every process."""

    family: Family
    sites: tuple[Site, ...]
    scale: float
    """Power of two near a typical activation, see `Statistics`."""
    read: Callable[[Float[Tensor, "tokens width"]], Firings]

    def firings(self, activations: Activations) -> Firings:
        """The family's firings in one batch."""
        parts = [activations[site] for site in self.sites]
        return self.read(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))


@dataclass(frozen=True)
class Sample:
    """All firings on some rows of the text, in the order of their positions."""

    rows: Int[np.ndarray, " rows"]
    """Which rows of the packed text were sampled, rising."""
    position: Int[np.ndarray, " firings"]
    unit: Int[np.ndarray, " firings"]
    activation: Float[np.ndarray, " firings"]

    def merge(self, other: Sample) -> Sample:
        """The sample of both texts together."""
        return Sample.joined([self, other])

    @classmethod
    def joined(cls, parts: Sequence[Sample]) -> Sample:
        """All firings of some parts of the text, in the order of their positions."""
        position, unit, activation = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("position", "unit", "activation")
        )
        # Stable, so that the firings of one token, which are all of one part, keep their order.
        order = np.argsort(position, kind="stable")
        rows = np.sort(np.concatenate([part.rows for part in parts]))
        return cls(rows, position[order], unit[order], activation[order])


@dataclass(frozen=True)
class Observation:
    """What a pass over text has found of one family."""

    family: Family
    statistics: Statistics
    top: Keeper
    spread: Keeper
    sample: Sample
    sketch: Sketch

    def merge(self, other: Observation) -> Observation:
        """What one pass over both texts would have found."""
        if self.family != other.family:
            raise ValueError(f"{self.family.name} and {other.family.name} do not merge")
        return Observation(
            self.family,
            self.statistics.merge(other.statistics),
            self.top.merge(other.top),
            self.spread.merge(other.spread),
            self.sample.merge(other.sample),
            self.sketch.merge(other.sketch),
        )


def readers(
    model: Model,
    text: PackedText,
    dictionaries: Iterable[Dictionary],
    *,
    neurons: Sequence[int] | None = None,
    rate: float = NEURON_RATE,
    calibration_tokens: int = 2**13,
) -> tuple[Reader, ...]:
    """Readers of all dictionaries' latents and of the neurons of some layers.

    A small part of the text, rows evenly spaced over it, sets the scale of each family and the
    activation at which each side of a neuron counts as firing. Processes that share the work must
    be given the same text here.

    Args:
        neurons: layers whose neurons are read; every layer that has neurons when None.
        rate: share of tokens on which each side of a neuron fires.
    """
    have = [site.layer for site in model.sites if site.kind == "neurons" and site.layer is not None]
    layers = have if neurons is None else neurons
    dictionaries = tuple(dictionaries)
    sites = {site for each in dictionaries for site in each.shape.reads}
    sites |= {Site("neurons", layer) for layer in layers}
    n_rows = max(1, min(text.rows, calibration_tokens // text.context))
    rows = np.unique(np.linspace(0, text.rows - 1, n_rows).astype(int))
    # One row at a time: nothing here depends on the size of a batch.
    batches = list(stream(model, text, sorted(sites, key=str), batch_rows=1, rows=rows))
    found = [latent_reader(each, batches) for each in dictionaries]
    return (*found, *(_neuron_reader(layer, batches, rate) for layer in layers))


def survey(
    model: Model,
    text: PackedText,
    readers: Sequence[Reader],
    *,
    batch_rows: int,
    rows: Sequence[int] | NDArray[np.integer[Any]] | None = None,
    top: int = TOP,
    spread: int = SPREAD,
    sampled_tokens: int = SAMPLED_TOKENS,
    advance: Callable[[int], None] = lambda tokens: None,
) -> dict[str, Observation]:
    """Observe every unit over the text, by the name of its family.

    Args:
        rows: this process's share of the rows; all when None.
        top, spread: exemplars kept of each unit, and of each octave of each unit.
        sampled_tokens: about how many tokens, in rows evenly spaced over the whole text, have all
            their firings kept.
        advance: told after each batch how many tokens it had.
    """
    sites = sorted({site for reader in readers for site in reader.sites}, key=str)
    return observe(
        stream(model, text, sites, batch_rows=batch_rows, rows=rows),
        text,
        readers,
        top=top,
        spread=spread,
        sampled_tokens=sampled_tokens,
        advance=advance,
    )


def observe(
    batches: Iterable[Activations],
    text: PackedText,
    readers: Sequence[Reader],
    *,
    top: int = TOP,
    spread: int = SPREAD,
    sampled_tokens: int = SAMPLED_TOKENS,
    advance: Callable[[int], None] = lambda tokens: None,
) -> dict[str, Observation]:
    """The same of activations that are at hand, such as those of two models side by side."""
    sampled = np.zeros(text.rows, bool)
    n_sampled = max(1, min(text.rows, sampled_tokens // text.context))
    sampled[np.linspace(0, text.rows - 1, n_sampled).astype(int)] = True
    watches = [_Watch(reader, top, spread) for reader in readers]
    for activations in batches:
        part = activations.rows
        position = (part[:, None] * text.context + np.arange(text.context)).reshape(-1)
        batch = Batch(position, text.documents[part].reshape(-1), text.context)
        for watch in watches:
            watch.add(activations, batch, sampled[part])
        advance(len(position))
    return {watch.reader.family.name: watch.observation() for watch in watches}


class _Watch:
    """Everything that is kept of one family while batches stream by."""

    def __init__(self, reader: Reader, top: int, spread: int) -> None:
        size = reader.family.size
        self.reader = reader
        self.statistics = Statistics.empty(size, reader.scale)
        self.top = Keeper("top", size, top)
        self.spread = Keeper("spread", size, spread)
        self.sketch = Sketch(size)
        self.samples: list[Sample] = []

    def add(self, activations: Activations, batch: Batch, sampled: np.ndarray) -> None:
        firings = self.reader.firings(activations)
        self.statistics.add(firings, len(batch.position))
        self.top.add(firings, batch)
        self.spread.add(firings, batch)
        self.sketch.add(firings, batch.position)
        kept = firings[sampled[firings.token // batch.context]]
        columns = (batch.position[kept.token], kept.unit, kept.activation)
        self.samples.append(Sample(activations.rows[sampled], *columns))

    def observation(self) -> Observation:
        """What was seen. The parts of the sample are let go of: together they are as large."""
        none = np.zeros(0, np.int64)
        samples = self.samples or [Sample(none, none, none, np.zeros(0, np.float32))]
        self.samples = []
        return Observation(
            self.reader.family,
            self.statistics,
            self.top,
            self.spread,
            Sample.joined(samples),
            self.sketch,
        )


def latent_reader(dictionary: Dictionary, batches: Sequence[Activations]) -> Reader:
    """Reader of a dictionary's latents, whose scale is that of some batches."""
    weight = dictionary.W_enc

    def read(x: Float[Tensor, "tokens d_in"]) -> Firings:
        with torch.no_grad():
            return latent_firings(dictionary.encode(x.to(weight.device, weight.dtype)))

    sites = dictionary.shape.reads
    layer = next((site.layer for site in sites if site.layer is not None), 0)
    family = Family(dictionary.name, "latent", layer, dictionary.d_dict)
    return _scaled(Reader(family, sites, 1.0, read), batches)


def _neuron_reader(layer: int, batches: Sequence[Activations], rate: float) -> Reader:
    site = Site("neurons", layer)
    activations = torch.cat([batch[site] for batch in batches])
    thresholds = neuron_thresholds(activations, rate)
    family = Family(str(site), "neuron", layer, len(thresholds))
    reader = Reader(family, (site,), 1.0, lambda x: neuron_firings(x, thresholds))
    return _scaled(reader, batches)


def _scaled(reader: Reader, batches: Sequence[Activations]) -> Reader:
    activation = np.concatenate([reader.firings(batch).activation for batch in batches])
    return Reader(reader.family, reader.sites, scale_of(activation), reader.read)
