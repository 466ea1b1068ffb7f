"""Related units: for each unit those that fire with it, resemble it, or say the same elsewhere.

One table, `related.parquet`, with one row a relation:

| relation | the other unit |
|---|---|
| `cofires` | latents, of any dictionary, that fire on the same tokens |
| `earlier`, `later` | the same among dictionaries of the layer before and of the layer after |
| `neuron` | the side of a neuron, of any layer, that fires most like it |
| `resembles` | latents whose directions in the residual stream are nearest |
| `duplicate` | the leader of its near-duplicates (`kinship`), where that is another unit |
| `kin` | the leader of its family of features, where that is another unit |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.features.cofiring import Pairs, cofiring
from tomogram.features.groups import rank
from tomogram.features.kinship import DUPLICATE, KIN, leaders
from tomogram.features.resemblance import resembling
from tomogram.features.survey import Observation
from tomogram.features.units import Family
from tomogram.store.atomic import writing

FORMAT = 1
FORMAT_KEY = "tomogram.features"
RESEMBLES = 8
"""Rows of a unit that say what it resembles."""
_MOST = {"cofires": 8, "earlier": 3, "later": 3, "neuron": 1}
"""Rows of a unit by relation of firing."""
_PAIRS_AT_ONCE = 2**19

RELATED = pa.schema(
    [
        ("family", pa.dictionary(pa.int16(), pa.string())),
        ("unit", pa.int32()),
        ("relation", pa.dictionary(pa.int8(), pa.string())),
        ("rank", pa.int16()),  # 0 for the closest
        ("other_family", pa.dictionary(pa.int16(), pa.string())),
        ("other_unit", pa.int32()),
        ("score", pa.float32()),  # cosine where it resembles, Jaccard index elsewhere
        ("both", pa.int32()),  # firings of both in the sample; null where it resembles
        ("either", pa.int32()),  # firings of at least one there
    ],
    metadata={FORMAT_KEY: str(FORMAT)},
)


@dataclass(frozen=True)
class _Rows:
    """Some rows of the table with units numbered over all families."""

    relation: str
    unit: Int[np.ndarray, " rows"]
    other: Int[np.ndarray, " rows"]
    score: Float[np.ndarray, " rows"]
    both: Int[np.ndarray, " rows"] | None = None
    either: Int[np.ndarray, " rows"] | None = None


def related(
    observations: Sequence[Observation], directions: Mapping[str, Float[Tensor, "units d"] | None]
) -> pa.Table:
    """All relations of all units.

    Args:
        directions: by family, what each unit writes into the residual stream; families that are
            absent, or None, resemble nothing.
    """
    families = [observation.family for observation in observations]
    pairs = cofiring([observation.sketch for observation in observations])
    count = np.concatenate([observation.statistics.count for observation in observations])
    found = [*_firing_alike(families, pairs), *_grouped(families, pairs, count)]
    found += _resembling(families, directions)
    return _table(families, found)


def write_related(table: pa.Table, folder: Path) -> None:
    """Write `related.parquet`, atomically.

    Raises TomogramError where the folder cannot be written.
    """
    with writing(folder / "related.parquet") as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _firing_alike(families: Sequence[Family], pairs: Pairs) -> list[_Rows]:
    layer, latent, _ = _described(families)
    found: dict[str, list[_Ranked]] = {}
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        number = np.arange(start, min(start + _PAIRS_AT_ONCE, len(pairs)))
        part = pairs[number]
        unit, other = np.concatenate([part.a, part.b]), np.concatenate([part.b, part.a])
        both_ways = _Ranked(unit, other, np.tile(part.strength, 2), np.tile(number, 2))
        step = layer[other] - layer[unit]
        wanted = {
            "cofires": latent[other],
            "earlier": latent[other] & (step == -1),
            "later": latent[other] & (step == 1),
            "neuron": ~latent[other],
        }
        for relation, chosen in wanted.items():
            best = both_ways[chosen & latent[unit]].best(_MOST[relation])
            found.setdefault(relation, []).append(best)
    rows = []
    for relation, parts in found.items():
        best = _Ranked.joined(parts).best(_MOST[relation])
        rows.append(_cofiring_rows(relation, best.unit, best.other, pairs[best.pair]))
    return rows


@dataclass(frozen=True)
class _Ranked:
    """Pairs as one of their units sees them: the other, how strongly they are tied, the pair."""

    unit: Int[np.ndarray, " ties"]
    other: Int[np.ndarray, " ties"]
    strength: Float[np.ndarray, " ties"]
    pair: Int[np.ndarray, " ties"]

    def __getitem__(self, chosen: np.ndarray) -> _Ranked:
        return _Ranked(*(getattr(self, column.name)[chosen] for column in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[_Ranked]) -> _Ranked:
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def best(self, n: int) -> _Ranked:
        """The n strongest of each unit; the best of all are among the bests of parts."""
        order = np.lexsort((self.other, -self.strength, self.unit))
        return self[order[rank(self.unit[order]) < n]]


def _grouped(families: Sequence[Family], pairs: Pairs, count: np.ndarray) -> list[_Rows]:
    """Leaders of near-duplicates and of families of features; neurons' sides stay alone."""
    _, latent, _ = _described(families)
    pairs = pairs[(pairs.strength >= KIN) & latent[pairs.a] & latent[pairs.b]]
    code = pairs.a.astype(np.int64) * len(count) + pairs.b
    found = []
    for relation, least in (("duplicate", DUPLICATE), ("kin", KIN)):
        leader = leaders(pairs, count, least)
        led = np.flatnonzero(leader != np.arange(len(leader)))
        low, high = np.minimum(led, leader[led]), np.maximum(led, leader[led])
        place = np.searchsorted(code, low * len(count) + high)
        found.append(_cofiring_rows(relation, led, leader[led], pairs[place]))
    return found


def _cofiring_rows(relation: str, unit: np.ndarray, other: np.ndarray, pairs: Pairs) -> _Rows:
    either = pairs.both + pairs.only_a + pairs.only_b
    return _Rows(relation, unit, other, pairs.jaccard, pairs.both, either)


def _resembling(families: Sequence[Family], directions: Mapping[str, Tensor | None]) -> list[_Rows]:
    parts, numbers, start = [], [], 0
    for family in families:
        own = directions.get(family.name) if family.kind == "latent" else None
        if own is not None:
            parts.append(own)
            numbers.append(np.arange(start, start + family.size))
        start += family.size
    if not parts:
        return []
    number = np.concatenate(numbers)
    n = min(RESEMBLES, len(number) - 1)
    if n < 1:
        return []
    other, cosine = resembling(torch.cat(parts), n)
    unit = np.repeat(number, n)
    return [_Rows("resembles", unit, number[other.reshape(-1)], cosine.reshape(-1))]


def _described(families: Sequence[Family]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each unit over all families: its layer, whether it is a latent, its family's number."""
    sizes = [family.size for family in families]
    layer = np.repeat([family.layer for family in families], sizes)
    latent = np.repeat([family.kind == "latent" for family in families], sizes)
    return layer, latent, np.repeat(np.arange(len(families)), sizes)


def _table(families: Sequence[Family], found: Sequence[_Rows]) -> pa.Table:
    sizes = [family.size for family in families]
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    owner = np.repeat(np.arange(len(families)), sizes)
    names = pa.array([family.name for family in families], pa.string())
    relations = [rows.relation for rows in found]
    lengths = [len(rows.unit) for rows in found]
    unit = np.concatenate([rows.unit for rows in found])
    other = np.concatenate([rows.other for rows in found])
    which = np.repeat(np.arange(len(found)), lengths)
    place = np.concatenate([rank(rows.unit) for rows in found])
    counted = np.repeat([rows.both is not None for rows in found], lengths)
    none = [np.zeros(n, np.int64) for n in lengths]

    def counts(name: str) -> pa.Array:
        given = [getattr(rows, name) for rows in found]
        filled = [zero if own is None else own for own, zero in zip(given, none, strict=True)]
        return pa.array(np.concatenate(filled), pa.int32(), mask=~counted)

    def named(index: np.ndarray) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(index, pa.int16()), names)

    columns = [
        named(owner[unit]),
        pa.array(unit - first[owner[unit]], pa.int32()),
        pa.DictionaryArray.from_arrays(pa.array(which, pa.int8()), pa.array(relations)),
        pa.array(place, pa.int16()),
        named(owner[other]),
        pa.array(other - first[owner[other]], pa.int32()),
        pa.array(np.concatenate([rows.score for rows in found]), pa.float32()),
        counts("both"),
        counts("either"),
    ]
    # A reader wants all relations of one unit: they stand together.
    return pa.table(columns, schema=RELATED).take(pa.array(np.lexsort((place, which, unit))))
