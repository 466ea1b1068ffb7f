"""Tables: features and their exemplars as parquet files, which any tool can read.

`features.parquet` has one row a unit, `exemplars.parquet` one row an exemplar. Neither holds any
of the text: exemplars are positions in the packed text with quantised activations, and promoted
tokens are ids. Only the label is words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

from tomogram.features.exemplars import OCTAVES, REACH, Excerpt, Exemplars, excerpt
from tomogram.features.groups import rank
from tomogram.features.labels import Label
from tomogram.features.phrases import phrase
from tomogram.features.promoted import Promoted
from tomogram.features.related import FORMAT, FORMAT_KEY, RELATED
from tomogram.features.statistics import BINS
from tomogram.features.survey import Observation
from tomogram.store.atomic import writing
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

FEATURES = pa.schema(
    [
        ("family", pa.dictionary(pa.int16(), pa.string())),
        ("kind", pa.dictionary(pa.int8(), pa.string())),  # latent or neuron
        ("layer", pa.int32()),
        ("unit", pa.int32()),  # number within the family
        ("index", pa.int32()),  # the latent's or neuron's own number
        ("side", pa.int8()),  # -1 for the negative side of a neuron
        ("tokens", pa.int64()),  # how many were read
        ("count", pa.int64()),  # on how many of them it fired
        ("rate", pa.float64()),
        ("mean", pa.float32()),  # of the activation where it fires
        ("deviation", pa.float32()),
        ("largest", pa.float32()),
        ("histogram", pa.list_(pa.int64(), BINS)),  # firings by bin, see statistics.bin_edges
        ("promoted", pa.list_(pa.int32())),  # token ids, strongest first
        ("promoted_by", pa.list_(pa.float32())),
        ("suppressed", pa.list_(pa.int32())),
        ("suppressed_by", pa.list_(pa.float32())),
        ("label", pa.string()),  # null where no rule fits
        ("label_kind", pa.dictionary(pa.int8(), pa.string())),
        ("label_marks", pa.list_(pa.list_(pa.int32()))),
        ("label_n_marks", pa.int32()),
        ("label_f1", pa.float64()),
        ("label_f1_low", pa.float64()),
        ("label_f1_high", pa.float64()),
        ("label_f1_n", pa.int32()),
        ("label_precision", pa.float64()),
        ("label_recall", pa.float64()),
        ("label_balanced_accuracy", pa.float64()),
    ],
    metadata={FORMAT_KEY: str(FORMAT)},
)

EXEMPLARS = pa.schema(
    [
        ("family", pa.dictionary(pa.int16(), pa.string())),
        ("unit", pa.int32()),
        ("kind", pa.dictionary(pa.int8(), pa.string())),  # top or spread
        ("octave", pa.int8()),  # of a spread exemplar's activation; null for a top one
        ("rank", pa.int16()),  # 0 for the best of its unit (and octave)
        ("position", pa.int64()),  # row · context + offset in the packed text
        ("document", pa.int32()),
        ("activation", pa.float32()),
        ("peak", pa.float32()),  # largest activation around it
        ("activations", pa.binary(2 * REACH + 1)),  # of the tokens around, in units of peak / 255
    ],
    metadata={FORMAT_KEY: str(FORMAT)},
)

ROW_GROUP = 4_096
"""Rows of a file that are read together: a page asks for those of one unit, which stand together.
Smaller groups make the file larger, larger ones make the page wait."""
_ROWS_AT_ONCE = 4_096


@dataclass(frozen=True)
class Described:
    """One family ready to be written: what was observed of it, and what was made of that."""

    observation: Observation
    labels: Sequence[Label | None]
    promoted: Promoted | None
    """None where the family does not write into the residual stream."""


def write_tables(families: Sequence[Described], spelling: Sequence[str], folder: Path) -> None:
    """Write `features.parquet` and `exemplars.parquet`, family by family, each file atomically.

    The same observations give the same bytes.

    Raises:
        TomogramError: the folder cannot be written.
    """
    with _writer(folder / "features.parquet", FEATURES) as features:
        for family in families:
            features.write_table(_feature_rows(family, spelling), ROW_GROUP)
    with _writer(folder / "exemplars.parquet", EXEMPLARS) as exemplars:
        for family in families:
            exemplars.write_table(_exemplar_rows(family.observation), ROW_GROUP)


@contextmanager
def _writer(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    with writing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as w:
        yield w


def _feature_rows(family: Described, spelling: Sequence[str]) -> pa.Table:
    own, statistics = family.observation.family, family.observation.statistics
    units = range(own.size)
    labels = family.labels
    columns: dict[str, Any] = {
        "family": _constant(own.name, own.size, FEATURES.field("family").type),
        "kind": _constant(own.kind, own.size, FEATURES.field("kind").type),
        "layer": np.full(own.size, own.layer),
        "unit": np.arange(own.size),
        "index": [own.index(unit) for unit in units],
        "side": [own.side(unit) for unit in units],
        "tokens": np.full(own.size, statistics.tokens),
        "count": statistics.count,
        "rate": statistics.rate,
        "mean": statistics.mean.astype(np.float32),
        "deviation": statistics.deviation.astype(np.float32),
        "largest": statistics.largest,
        "histogram": pa.FixedSizeListArray.from_arrays(statistics.histogram.reshape(-1), BINS),
        "label": [label and phrase(label, spelling) for label in labels],
        "label_kind": [label and label.kind for label in labels],
        "label_marks": [label and [list(mark) for mark in label.marks] for label in labels],
        "label_n_marks": [label and label.n_marks for label in labels],
        "label_f1": [label and label.f1.value for label in labels],
        "label_f1_low": [label and label.f1.low for label in labels],
        "label_f1_high": [label and label.f1.high for label in labels],
        "label_f1_n": [label and label.f1.n for label in labels],
        "label_precision": [label and label.precision for label in labels],
        "label_recall": [label and label.recall for label in labels],
        "label_balanced_accuracy": [label and label.balanced_accuracy for label in labels],
    }
    for name in ("promoted", "promoted_by", "suppressed", "suppressed_by"):
        known = family.promoted is not None
        columns[name] = list(getattr(family.promoted, name)) if known else [None] * own.size
    return _table(columns, FEATURES)


def _exemplar_rows(observation: Observation) -> pa.Table:
    top, spread = observation.top.exemplars(), observation.spread.exemplars()
    both = Exemplars.joined([top, spread])
    is_top = np.arange(len(both)) < len(top)
    columns = {
        "unit": np.where(is_top, both.group, both.group // OCTAVES),
        "octave": pa.array(both.group % OCTAVES, pa.int8(), mask=is_top),
        "rank": np.concatenate([rank(top.group), rank(spread.group)]),
        "position": both.position,
        "document": both.document,
        "activation": both.activation,
        "peak": both.peak,
        "activations": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(2 * REACH + 1), len(both), [None, pa.py_buffer(both.window.tobytes())]
        ),
        "family": _constant(observation.family.name, len(both), EXEMPLARS.field("family").type),
        "kind": pa.array(np.where(is_top, "top", "spread")),
    }
    table = _table(columns, EXEMPLARS)
    # A reader wants all exemplars of one unit: they stand together.
    return table.take(pa.array(np.lexsort((~is_top, columns["unit"]))))


def _constant(value: str, n: int, kind: pa.DictionaryType) -> pa.DictionaryArray:
    indices = pa.array(np.zeros(n), kind.index_type)
    return pa.DictionaryArray.from_arrays(indices, pa.array([value], pa.string()))


def _table(columns: dict[str, Any], schema: pa.Schema) -> pa.Table:
    arrays = []
    for field in schema:
        column = columns[field.name]
        is_array = isinstance(column, pa.Array)
        arrays.append(column.cast(field.type) if is_array else pa.array(column, field.type))
    return pa.table(arrays, schema=schema)


class Tables:
    """Read access to a folder's `features.parquet`, `exemplars.parquet` and `related.parquet`.

    Safe to ask from several threads.

    Raises:
        TomogramError: a file is missing, damaged, or of a newer format than this version reads.
    """

    def __init__(self, folder: Path) -> None:
        self._tables: dict[str, pa.dataset.Dataset | pa.Table] = {
            name: _dataset(folder / f"{name}.parquet") for name in ("features", "exemplars")
        }
        beside = folder / "related.parquet"
        # Scans of the first version have no such table; nothing is known of relations there.
        self._tables["related"] = _dataset(beside) if beside.exists() else RELATED.empty_table()
        self._database = self._connected()
        self._lock = Lock()
        self._held: set[str] = set()

    def hold(self, name: str) -> None:
        """Keep one of the tables in memory from now on, for who asks many questions of it.

        A question of a unit among 100,000 takes a fifth of a second from the file, and milliseconds
        from memory.

        Raises:
            TomogramError: the file is damaged.
        """
        with self._lock, _answering():
            if name in self._held:
                return
            self._database.unregister(name)
            self._database.register(f"{name}_file", self._tables[name])
            self._database.execute(f"CREATE TABLE {name} AS SELECT * FROM {name}_file")
            self._held.add(name)

    def _connected(self) -> duckdb.DuckDBPyConnection:
        # SQL given here reads these tables and nothing else of the machine.
        database = duckdb.connect(config={"enable_external_access": "false"})
        for name, table in self._tables.items():
            database.register(name, table)
        return database

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a DuckDB query over the tables `features`, `exemplars` and `related`.

        Raises:
            TomogramError: the query is not valid, or a file is damaged.
        """
        with self._lock, _answering():
            found = self._database.execute(sql, list(parameters))
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The same as one table of Arrow.

        Raises:
            TomogramError: the query is not valid, or a file is damaged.
        """
        with self._lock, _answering():
            return self._database.sql(sql, params=list(parameters)).to_arrow_table()

    def columns(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, np.ndarray]:
        """The same as arrays, one a column.

        Raises:
            TomogramError: the query is not valid, or a file is damaged.
        """
        found = self.table(sql, parameters)
        return {
            name: column.combine_chunks().to_numpy(zero_copy_only=False)
            for name, column in zip(found.column_names, found.columns, strict=True)
        }

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
        """The rows of a query one by one, for answers too long to hold.

        Raises:
            TomogramError: the query is not valid, or a file is damaged.
        """
        with _answering():
            # A connection of its own: others may be asked until the last row has been taken.
            cursor = self._connected().execute(sql, list(parameters))
            names = [column[0] for column in cursor.description or ()]
        while True:
            with _answering():
                some = cursor.fetchmany(_ROWS_AT_ONCE)
            if not some:
                return
            yield from (dict(zip(names, row, strict=True)) for row in some)

    def unit(self, family: str, unit: int) -> dict[str, Any]:
        """The row of one unit.

        Raises:
            TomogramError: there is no such unit.
        """
        found = self.query("SELECT * FROM features WHERE family = ? AND unit = ?", (family, unit))
        if not found:
            raise TomogramError(f"There is no unit {unit} in '{family}'.")
        return found[0]

    def excerpts(self, family: str, unit: int, kind: str, text: PackedText) -> list[Excerpt]:
        """The exemplars of one kind (top or spread) of a unit in their context, strongest first.

        Raises:
            TomogramError: an exemplar lies outside the text, which is then not the scanned one.
        """
        rows = self.query(
            "SELECT position, peak, activations FROM exemplars"
            " WHERE family = ? AND unit = ? AND kind = ? ORDER BY activation DESC, position",
            (family, unit, kind),
        )
        try:
            return [
                excerpt(text.tokens, text.documents, row["position"], window_of(row))
                for row in rows
            ]
        except ValueError as error:
            raise TomogramError(f"The exemplars are of another text: {error}.") from error


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, pa.ArrowException) as error:
        first = str(error).splitlines()[0]
        raise TomogramError(f"The feature tables cannot answer: {first}") from error


def window_of(row: Mapping[str, Any]) -> np.ndarray:
    """Activations around the exemplar of a row with `activations` and `peak`."""
    return np.frombuffer(row["activations"], np.uint8) * np.float32(row["peak"] / 255)


def _dataset(path: Path) -> pa.dataset.Dataset:
    try:
        dataset = pa.dataset.dataset(path, format="parquet")
        stated = int((dataset.schema.metadata or {}).get(FORMAT_KEY.encode(), b"0"))
    except FileNotFoundError as error:
        raise TomogramError(f"There is no table at {path}.") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TomogramError(f"{path} is no parquet table, or is damaged.") from error
    if stated != FORMAT:
        newer = "newer than this version reads" if stated > FORMAT else "none of a feature table"
        raise TomogramError(f"{path} has the format {stated}, which is {newer}.")
    return dataset
