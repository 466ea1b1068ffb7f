"""Catalogue: all units of a scan, searched, sorted and cut into pages by DuckDB.

The columns that a list needs are read once from `features.parquet` into memory, where a hundred
thousand rows are filtered and sorted in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal

from tomogram.features.tables import Tables
from tomogram.report.tokens import inert, visible
from tomogram.store.errors import TomogramError

SORTS = {
    "score": "score",
    "rate": "rate",
    "largest": "largest",
    "label": "lower(label)",
    "place": "layer",
}
"""What a list can be sorted by, and the column that stands for it."""
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
_WORDS = 12
_LABEL = 300
_READ = 2000
"""Characters of a label that are searched; those of a list are fewer."""

Key = tuple[str, int]
"""Family and number of the unit in it."""


@dataclass(frozen=True)
class Wanted:
    """Which rows of the list are asked for.

    Raises:
        TomogramError: something is asked for that there is not.
    """

    words: str = ""
    """All of them must stand in the label or among the promoted tokens."""
    family: str = ""
    kind: Literal["", "latent", "neuron"] = ""
    state: str = ""
    sort: str = "score"
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

    def __init__(self, tables: Tables, spelling: Sequence[str]) -> None:
        self._tables = tables
        self._lock = Lock()
        # Vocabularies have one row a token; the words of promoted tokens are joined by SQL.
        self.query("CREATE TABLE spelled (token INTEGER, word VARCHAR)")
        self._insert("spelled", [(i, inert(word).lower()) for i, word in enumerate(spelling)])
        self.query(
            "CREATE TABLE listed AS SELECT family::VARCHAR AS family, unit, index, side, layer,"
            f" kind::VARCHAR AS kind, left(label, {_READ}) AS label, label_f1 AS score,"
            " label_f1_low AS low, label_f1_high AS high, rate, largest, mean, count,"
            " histogram FROM features"
        )
        self.query(
            "CREATE TABLE searched AS SELECT f.family::VARCHAR AS family, f.unit,"
            f" lower(left(coalesce(any_value(f.label), ''), {_READ})) || ' ' ||"
            " coalesce(string_agg(s.word, ' '), '') AS words"
            " FROM (SELECT family, unit, label, unnest(promoted || [-1]) AS token FROM"
            "   (SELECT family, unit, label, coalesce(promoted, []::INTEGER[]) AS promoted"
            "    FROM features)) f"
            " LEFT JOIN spelled s ON s.token = f.token GROUP BY f.family, f.unit"
        )
        self.query(
            "CREATE TABLE listing AS SELECT l.*, s.words FROM listed l"
            " JOIN searched s USING (family, unit) ORDER BY layer, family, unit"
        )
        for spare in ("listed", "searched", "spelled"):
            self.query(f"DROP TABLE {spare}")

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a DuckDB query, as `Tables.query` gives them, one question at a time."""
        with self._lock:
            return self._tables.query(sql, parameters)

    def _insert(self, table: str, rows: Sequence[tuple[int, str]]) -> None:
        numbers, words = [number for number, _ in rows], [word for _, word in rows]
        self.query(f"INSERT INTO {table} SELECT unnest(?), unnest(?)", (numbers, words))

    def rows(self, wanted: Wanted) -> dict[str, Any]:
        """The rows asked for, and how many there are in all.

        Words are matched as they are, without any wildcard.
        """
        where: list[str] = [STATES[wanted.state]]
        parameters: list[Any] = []
        for column in ("family", "kind"):
            if getattr(wanted, column):
                where.append(f"{column} = ?")
                parameters.append(getattr(wanted, column))
        for word in wanted.words.lower().split()[:_WORDS]:
            where.append("contains(words, ?)")
            parameters.append(word)
        among = " AND ".join(where)
        direction = "DESC" if wanted.descending else "ASC"
        total = self.query(f"SELECT count(*) AS n FROM listing WHERE {among}", parameters)[0]["n"]
        found = self.query(
            f"SELECT * EXCLUDE (words) FROM listing WHERE {among}"
            f" ORDER BY {SORTS[wanted.sort]} {direction} NULLS LAST, layer, family, unit"
            " LIMIT ? OFFSET ?",
            [*parameters, wanted.limit, wanted.offset],
        )
        return {"total": total, "rows": [listed(row) for row in found]}

    def glances(self, keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
        """Label and score of some units, by their keys."""
        if not keys:
            return {}
        found = self.query(
            "SELECT family, unit, index, side, layer, label, score, rate FROM listing"
            " WHERE (family, unit) IN (SELECT unnest(?), unnest(?))",
            [[family for family, _ in keys], [unit for _, unit in keys]],
        )
        return {(row["family"], row["unit"]): {**row, "label": _label(row)} for row in found}

    def everything(self) -> list[dict[str, Any]]:
        """All rows and the words they are found by, for an export."""
        found = self.query("SELECT * FROM listing ORDER BY layer, family, unit")
        return [{**listed(row), "words": visible(row["words"])} for row in found]

    def unit(self, family: str, unit: int) -> dict[str, Any]:
        """The whole row of one unit as the table has it.

        Raises:
            TomogramError: there is no such unit.
        """
        with self._lock:
            return self._tables.unit(family, unit)

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
    kept = {k: v for k, v in row.items() if k not in ("histogram", "words")}
    return {**kept, "label": _label(row), "spark": spark(row["histogram"])}


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


def _label(row: Mapping[str, Any]) -> str | None:
    label = row["label"]
    if label is None:
        return None
    cut = label if len(label) <= _LABEL else f"{label[:_LABEL]}…"
    return visible(cut)
