"""Catalogue: all units of a scan, searched, sorted and cut into pages.

The columns that a list needs are read once from `features.parquet` into memory. An order of all
units is worked out when a page first asks for it and kept; a page is then a cut of numbers, and
only the rows on it are put together. What is searched for is found by `features.search`; here the
units found are filtered, sorted and cut like all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from tomogram.features.search.catalogue import Catalogue as Numbering
from tomogram.features.tables import Tables
from tomogram.pipeline.labels import Key
from tomogram.pipeline.searching import Ranking
from tomogram.report.tokens import visible
from tomogram.store.errors import TomogramError
from tomogram.viewer.labels import Labels, cut

SORTS = {
    "best": "worth",
    "score": "score",
    "rate": "rate",
    "largest": "largest",
    "label": "sorted_label",
    "place": "layer",
}
"""What a list can be sorted by, and the column that stands for it. The best of what was searched
for is what matches most; of all units, what tells most: the label's score times how surprising a
firing is, or units that fire on every comma would come first."""
STATES = ("", "labelled", "unlabelled", "silent")
"""Which units a list can be confined to; one that never fires is no unlabelled one."""
MOST = 500
"""Rows given at once."""
_SPARK = "0123456789"
_HIDDEN = ("histogram", "number", "leader", "worth", "sorted_label")
"""Columns of the listing that no page is told."""
_GLANCE = ("family", "unit", "index", "side", "layer", "label", "score", "rate")
"""Columns by which a page names another unit."""


@dataclass(frozen=True)
class Wanted:
    """Which rows of the list are asked for.

    Raises:
        TomogramError: something is asked for that there is not.
    """

    family: str = ""
    kind: Literal["", "latent", "neuron"] = ""
    state: str = ""
    sort: str = "best"
    descending: bool = True
    offset: int = 0
    limit: int = 100

    def __post_init__(self) -> None:
        if self.kind not in ("", "latent", "neuron"):
            raise TomogramError(f"There are no units of the kind '{visible(self.kind)}'.")
        if self.state not in STATES or self.sort not in SORTS:
            raise TomogramError("The list cannot be filtered or sorted like that.")
        if self.offset < 0 or not 0 <= self.limit <= MOST:
            raise TomogramError(f"A list gives 0 to {MOST} rows from the first one on.")


class Catalogue:
    """The list of all units of one scan. Safe to ask from several threads.

    Raises:
        TomogramError: the tables are missing, damaged, or of a newer format.
    """

    def __init__(self, tables: Tables, numbering: Numbering, labels: Labels) -> None:
        self._tables, self._numbering = tables, numbering
        self._table("numbered", {"family": numbering.families, "first": numbering.first.tolist()})
        better = labels.standing.items()
        self._table(
            "better",
            {
                "family": [family for (family, _), _ in better],
                "unit": [unit for (_, unit), _ in better],
                "said": [judged.label for _, (_, judged) in better],
                "labeller": [folder for _, (folder, _) in better],
                **{
                    part: [getattr(judged.detection.accuracy, part) for _, (_, judged) in better
                           if judged.detection is not None]
                    for part in ("value", "low", "high")
                },
            },
        )  # fmt: skip
        # Row i is the unit with the number i.
        self._listing = tables.table(
            "SELECT n.first + f.unit AS number,"
            " f.family::VARCHAR AS family, f.unit, f.index, f.side, f.layer,"
            " f.kind::VARCHAR AS kind,"
            " CASE WHEN b.unit IS NULL THEN f.label ELSE b.said END AS label, b.labeller,"
            " coalesce(b.value, f.label_f1) AS score, coalesce(b.low, f.label_f1_low) AS low,"
            " coalesce(b.high, f.label_f1_high) AS high, f.rate, f.largest, f.mean, f.count,"
            " f.histogram, CASE WHEN f.count > 0 THEN -coalesce(b.value, f.label_f1) * ln(f.rate)"
            " END AS worth, coalesce(d.leader, n.first + f.unit) AS leader,"
            " lower(CASE WHEN b.unit IS NULL THEN f.label ELSE b.said END) AS sorted_label"
            " FROM features f JOIN numbered n ON n.family = f.family::VARCHAR"
            " LEFT JOIN better b ON b.family = n.family AND b.unit = f.unit"
            " LEFT JOIN (SELECT r.family::VARCHAR AS family, r.unit, a.first + r.other_unit AS"
            "   leader FROM related r JOIN numbered a ON a.family = r.other_family::VARCHAR"
            "   WHERE r.relation = 'duplicate') d ON d.family = n.family AND d.unit = f.unit"
            " ORDER BY number"
        ).combine_chunks()
        for spare in ("numbered", "better"):
            self.query(f"DROP TABLE {spare}")
        self._leader = self._column("leader")
        self._latent = self._column("kind") == "latent"
        fires, labelled = self._column("count") > 0, self._listing["label"].is_valid().to_numpy()
        self._states = {
            "": np.ones(len(fires), bool),
            "labelled": labelled,
            "unlabelled": ~labelled & fires,
            "silent": ~fires,
        }
        self._orders: dict[tuple[str, bool], Int[np.ndarray, " units"]] = {}

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a DuckDB query, as `Tables.query` gives them."""
        return self._tables.query(sql, parameters)

    def _table(self, name: str, columns: Mapping[str, Sequence[Any]]) -> None:
        kinds = {"family": "VARCHAR", "said": "VARCHAR", "labeller": "VARCHAR", "unit": "BIGINT",
                 "first": "BIGINT"}  # fmt: skip
        stated = [f"unnest(?::{kinds.get(column, 'DOUBLE')}[]) AS {column}" for column in columns]
        parameters = [list(values) for values in columns.values()]
        self.query(f"CREATE OR REPLACE TABLE {name} AS SELECT {', '.join(stated)}", parameters)

    def rows(self, wanted: Wanted, found: Ranking | None = None) -> dict[str, Any]:
        """The rows asked for, and how many there are in all.

        Args:
            found: units by their numbers with the scores of a search. Then the list holds no
                others, and near-duplicates of a better one do not stand in it themselves, but
                are counted in its `duplicates`.
        """
        if found is None:
            order = self._order(wanted.sort, wanted.descending)
            numbers = order[self._kept(wanted)[order]]
            duplicates = np.zeros(len(numbers), np.int64)
        else:
            numbers, duplicates = self._found(wanted, found)
        cut_out = slice(wanted.offset, wanted.offset + wanted.limit)
        rows = self._rows(numbers[cut_out])
        for row, spared in zip(rows, duplicates[cut_out].tolist(), strict=True):
            row["duplicates"] = spared
        return {"total": len(numbers), "rows": rows}

    def _kept(self, wanted: Wanted) -> Bool[np.ndarray, " units"]:
        """Which units the filters let through."""
        kept = self._states[wanted.state]
        if wanted.kind:
            kept = kept & (self._latent if wanted.kind == "latent" else ~self._latent)
        if wanted.family:
            own = np.zeros(len(kept), bool)
            own[self._units(wanted.family)] = True
            kept = kept & own
        return kept

    def _order(self, sort: str, descending: bool) -> Int[np.ndarray, " units"]:
        """The numbers of all units in an order; those without a value last, of equals the first
        first."""
        key = (SORTS[sort], descending)
        if key not in self._orders:
            direction = "descending" if descending else "ascending"
            found = pc.sort_indices(
                self._listing.select([key[0], "number"]),
                sort_keys=[(key[0], direction), ("number", "ascending")],
            )
            self._orders[key] = found.to_numpy().astype(np.int64)
        return self._orders[key]

    def _found(
        self, wanted: Wanted, found: Ranking
    ) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " rows"]]:
        """Of the units found the best of each group of near-duplicates, and how many others of the
        group were found."""
        numbers = np.array([number for number, _ in found], np.int64)
        match = np.array([score for _, score in found], np.float64)
        kept = self._kept(wanted)[numbers]
        numbers, match = numbers[kept], match[kept]
        by_match = np.lexsort((numbers, -match))
        _, first, members = np.unique(
            self._leader[numbers[by_match]], return_index=True, return_counts=True
        )
        numbers, match = numbers[by_match[first]], match[by_match[first]]
        if wanted.sort == "best":
            order = np.lexsort((numbers, -match if wanted.descending else match))
        else:
            place = np.empty(len(self._leader), np.int64)
            place[self._order(wanted.sort, wanted.descending)] = np.arange(len(place))
            order = np.argsort(place[numbers])
        return numbers[order], members[order] - 1

    def _rows(self, numbers: Int[np.ndarray, " rows"]) -> list[dict[str, Any]]:
        """The rows of some units, as a list shows them."""
        taken: list[dict[str, Any]] = self._listing.take(pa.array(numbers)).to_pylist()
        return [listed(row) for row in taken]

    def _column(self, name: str) -> np.ndarray:
        return np.asarray(self._listing[name].to_numpy(zero_copy_only=False))

    def _units(self, family: str) -> slice:
        """The numbers of a family's units; none where there is no such family."""
        numbering = self._numbering
        if family not in numbering.families:
            return slice(0, 0)
        place = numbering.families.index(family)
        return slice(*[*numbering.first.tolist(), len(numbering)][place : place + 2])

    def glances(self, keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
        """Label and score of some units, by their keys; without those that there are not."""
        numbers = [
            own.start + unit
            for family, unit in keys
            if unit < (own := self._units(family)).stop - own.start
        ]
        taken = self._listing.select(_GLANCE).take(pa.array(numbers, pa.int64())).to_pylist()
        return {(row["family"], row["unit"]): {**row, "label": cut(row["label"])} for row in taken}

    def everything(self) -> list[dict[str, Any]]:
        """All rows, in the order of their numbers, for an export."""
        return [
            {**listed(row), "duplicates": 0, "worth": _four(row["worth"])}
            for row in self._listing.to_pylist()
        ]

    def unit(self, family: str, unit: int) -> dict[str, Any]:
        """The whole row of one unit as the table has it.

        Raises:
            TomogramError: there is no such unit.
        """
        return self._tables.unit(family, unit)

    def brief(self, family: str, units: Sequence[int] | None = None) -> dict[int, dict[str, Any]]:
        """The rows of some units of a family, or of all, as the list shows them."""
        own = self._units(family)
        numbers = np.arange(own.start, own.stop)
        rows = self._rows(numbers if units is None else numbers[list(units)])
        return {row["unit"]: {**row, "duplicates": 0} for row in rows}

    def exemplars(self, family: str, units: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """The exemplars of some units of a family, or of all, strongest first within a unit."""
        # Bounds, unlike a list, tell the reader which parts of the file to leave alone.
        among = "" if units is None else " AND unit BETWEEN ? AND ? AND unit IN (SELECT unnest(?))"
        bounds = [] if units is None else [min(units), max(units), list(units)]
        return self.query(
            "SELECT unit, kind::VARCHAR AS kind, octave, position, peak, activation, document,"
            f" activations FROM exemplars WHERE family = ?{among}"
            " ORDER BY unit, kind, activation DESC, position",
            [family, *bounds],
        )


def listed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as a list shows it: the label made visible, the histogram as a few digits."""
    kept = {name: value for name, value in row.items() if name not in _HIDDEN}
    labeller = row["labeller"]
    return {
        **kept,
        "label": cut(row["label"]),
        "labeller": labeller and visible(labeller),
        "spark": spark(row["histogram"]),
    }


def spark(histogram: Sequence[int]) -> list[Any]:
    """The first bin that holds anything, and a digit for the height of each bin from there on.

    Heights are square roots of the counts, so that the rare strong firings stay visible.
    """
    filled = [i for i, count in enumerate(histogram) if count]
    if not filled:
        return [0, ""]
    shown = histogram[filled[0] : filled[-1] + 1]
    tallest = max(shown) ** 0.5
    heights = (0 if not n else max(1, round(9 * n**0.5 / tallest)) for n in shown)
    return [filled[0], "".join(_SPARK[height] for height in heights)]


def _four(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
