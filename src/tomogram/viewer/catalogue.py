"""Catalogue: all units of a scan, searched, sorted and cut into pages by DuckDB.

The columns that a list needs are read once from `features.parquet` into memory, where a hundred
thousand rows are filtered and sorted in milliseconds. What is searched for is found by
`features.search`; here the units found are filtered, sorted and cut like all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
    "label": "lower(label)",
    "place": "layer",
}
"""What a list can be sorted by, and the column that stands for it. The best of what was searched
for is what matches most; of all units, what tells most: the label's score times how surprising a
firing is, or units that fire on every comma would come first."""
STATES = {
    "": "true",
    "labelled": "label IS NOT NULL",
    "unlabelled": "label IS NULL AND count > 0",
    "silent": "count = 0",
}
"""Which units a list can be confined to."""
MOST = 500
"""Rows given at once."""
_SPARK = "0123456789"
_HIDDEN = ("histogram", "number", "leader", "worth", "match", "total")
"""Columns of the listing that no page is told."""


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
        self._tables = tables
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
        self.query(
            "CREATE OR REPLACE TABLE listing AS SELECT n.first + f.unit AS number,"
            " f.family::VARCHAR AS family, f.unit, f.index, f.side, f.layer,"
            " f.kind::VARCHAR AS kind,"
            " CASE WHEN b.unit IS NULL THEN f.label ELSE b.said END AS label, b.labeller,"
            " coalesce(b.value, f.label_f1) AS score, coalesce(b.low, f.label_f1_low) AS low,"
            " coalesce(b.high, f.label_f1_high) AS high, f.rate, f.largest, f.mean, f.count,"
            " f.histogram, CASE WHEN f.count > 0 THEN -coalesce(b.value, f.label_f1) * ln(f.rate)"
            " END AS worth, coalesce(d.leader, n.first + f.unit) AS leader"
            " FROM features f JOIN numbered n ON n.family = f.family::VARCHAR"
            " LEFT JOIN better b ON b.family = n.family AND b.unit = f.unit"
            " LEFT JOIN (SELECT r.family::VARCHAR AS family, r.unit, a.first + r.other_unit AS"
            "   leader FROM related r JOIN numbered a ON a.family = r.other_family::VARCHAR"
            "   WHERE r.relation = 'duplicate') d ON d.family = n.family AND d.unit = f.unit"
            " ORDER BY number"
        )
        for spare in ("numbered", "better"):
            self.query(f"DROP TABLE {spare}")

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
        where: list[str] = [STATES[wanted.state]]
        parameters: list[Any] = []
        if found is None:
            among = "SELECT *, 0 AS duplicates, worth AS match FROM listing"
        else:
            among = (
                "SELECT l.*, f.match, count(*) OVER (PARTITION BY leader) - 1 AS duplicates"
                " FROM (SELECT unnest(?::BIGINT[]) AS number, unnest(?::DOUBLE[]) AS match) f"
                " JOIN listing l USING (number)"
            )
            parameters += [[number for number, _ in found], [score for _, score in found]]
        for column in ("family", "kind"):
            if getattr(wanted, column):
                where.append(f"{column} = ?")
                parameters.append(getattr(wanted, column))
        among += f" WHERE {' AND '.join(where)}"
        if found is not None:
            among += (
                " QUALIFY row_number() OVER (PARTITION BY leader ORDER BY f.match DESC, number) = 1"
            )
        by = "match" if wanted.sort == "best" else SORTS[wanted.sort]
        direction = "DESC" if wanted.descending else "ASC"
        total = self.query(f"SELECT count(*) AS n FROM ({among})", parameters)[0]["n"]
        rows = self.query(
            f"SELECT * FROM ({among}) ORDER BY {by} {direction} NULLS LAST, number"
            " LIMIT ? OFFSET ?",
            [*parameters, wanted.limit, wanted.offset],
        )
        return {"total": total, "rows": [listed(row) for row in rows]}

    def glances(self, keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
        """Label and score of some units, by their keys."""
        if not keys:
            return {}
        found = self.query(
            "SELECT family, unit, index, side, layer, label, score, rate FROM listing"
            " WHERE (family, unit) IN (SELECT unnest(?), unnest(?))",
            [[family for family, _ in keys], [unit for _, unit in keys]],
        )
        return {(row["family"], row["unit"]): {**row, "label": cut(row["label"])} for row in found}

    def everything(self) -> list[dict[str, Any]]:
        """All rows, in the order of their numbers, for an export."""
        found = self.query("SELECT *, 0 AS duplicates FROM listing ORDER BY number")
        return [{**listed(row), "worth": _four(row["worth"])} for row in found]

    def unit(self, family: str, unit: int) -> dict[str, Any]:
        """The whole row of one unit as the table has it.

        Raises:
            TomogramError: there is no such unit.
        """
        return self._tables.unit(family, unit)

    def brief(self, family: str, units: Sequence[int] | None = None) -> dict[int, dict[str, Any]]:
        """The rows of some units of a family, or of all, as the list shows them."""
        among = "" if units is None else " AND unit IN (SELECT unnest(?))"
        found = self.query(
            f"SELECT *, 0 AS duplicates FROM listing WHERE family = ?{among}",
            [family] if units is None else [family, list(units)],
        )
        return {row["unit"]: listed(row) for row in found}

    def exemplars(self, family: str, units: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """The exemplars of some units of a family, or of all, strongest first within a unit."""
        among = "" if units is None else " AND unit IN (SELECT unnest(?))"
        return self.query(
            "SELECT unit, kind::VARCHAR AS kind, octave, position, peak, activation, document,"
            f" activations FROM exemplars WHERE family = ?{among}"
            " ORDER BY unit, kind, activation DESC, position",
            [family] if units is None else [family, list(units)],
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
