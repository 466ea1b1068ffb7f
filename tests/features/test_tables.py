from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.features.labels import Labeller
from tomogram.features.promoted import latent_directions, promoted
from tomogram.features.survey import readers, survey
from tomogram.features.tables import Described, Tables, write_tables
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

SPELLING = [f" w{i}" for i in range(36)] + ["<script>", "\u202ertl", "\x00\x1b", "y" * 10_000_000]


@pytest.fixture(scope="module")
def described(model: Model, text: PackedText, dictionaries: list[Dictionary]) -> list[Described]:
    found = survey(
        model, text, readers(model, text, dictionaries), batch_rows=4, sampled_tokens=10_000
    )
    labeller = Labeller(text, np.arange(text.rows))
    directions = latent_directions(model, dictionaries[0])
    assert directions is not None
    effects = {"resid_post.0": promoted(model, directions)}
    return [
        Described(observation, labeller.label(observation), effects.get(name))
        for name, observation in found.items()
    ]


@pytest.fixture(scope="module")
def folder(described: list[Described], tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Characters that a glob or a quoted path would stumble over.
    folder = tmp_path_factory.mktemp("it's [a] folder*")
    write_tables(described, SPELLING, folder)
    return folder


def test_a_file_is_read_in_small_parts_and_says_the_same(
    described: list[Described], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tomogram.features.tables.ROW_GROUP", 16)
    write_tables(described, SPELLING, tmp_path)
    for name in ("features", "exemplars"):
        parts = pq.ParquetFile(tmp_path / f"{name}.parquet").metadata
        sizes = [parts.row_group(i).num_rows for i in range(parts.num_row_groups)]
        assert max(sizes) == 16
        whole = pq.read_table(folder / f"{name}.parquet")
        assert pq.read_table(tmp_path / f"{name}.parquet").equals(whole)


def test_every_unit_has_its_row(folder: Path, described: list[Described]) -> None:
    tables = Tables(folder)
    counts = tables.query("SELECT family, count(*) AS n FROM features GROUP BY ALL ORDER BY family")
    assert {row["family"]: row["n"] for row in counts} == {
        "mlp_in.1-mlp_out.1": 60, "neurons.0": 48, "neurons.1": 48, "resid_post.0": 60,
    }  # fmt: skip
    for family in described:
        own, statistics = family.observation.family, family.observation.statistics
        for unit in range(own.size):
            row = tables.unit(own.name, unit)
            assert (row["kind"], row["layer"]) == (own.kind, own.layer)
            assert (row["index"], row["side"]) == (own.index(unit), own.side(unit))
            assert row["count"] == statistics.count[unit] == sum(row["histogram"])
            assert row["largest"] == statistics.largest[unit]
            label = family.labels[unit]
            assert (row["label"] is None) == (label is None)
            if label is not None:
                assert row["label_f1"] == label.f1.value
                assert [tuple(mark) for mark in row["label_marks"]] == list(label.marks)
            if family.promoted is None:
                assert row["promoted"] is None
            else:
                assert row["promoted"] == family.promoted.promoted[unit].tolist()


def test_some_labels_are_words(folder: Path) -> None:
    labels = Tables(folder).query("SELECT label FROM features WHERE label IS NOT NULL")
    assert labels
    assert all(row["label"].split()[0] in {"on", "before", "after", "some"} for row in labels)
    assert all(len(row["label"]) < 600 and row["label"].isprintable() for row in labels)


def test_excerpts_are_the_text_around_the_strongest_firings(
    folder: Path, described: list[Described], text: PackedText
) -> None:
    tables, observation = Tables(folder), described[0].observation
    top = observation.top.exemplars()
    for unit in np.unique(top.group):
        excerpts = tables.excerpts("resid_post.0", int(unit), "top", text)
        own = top[top.group == unit]
        assert len(excerpts) == len(own)
        for excerpt, position, activation in zip(
            excerpts, own.position, own.activation, strict=True
        ):
            assert excerpt.tokens[excerpt.centre] == text.tokens.reshape(-1)[position]
            assert excerpt.activations[excerpt.centre] == pytest.approx(activation, rel=0.01)
            flat = text.documents.reshape(-1)
            start = position - excerpt.centre
            stretch = slice(start, start + len(excerpt.tokens))
            assert set(flat[stretch]) == {flat[position]}
            assert np.array_equal(text.tokens.reshape(-1)[stretch], excerpt.tokens)
    spread = tables.excerpts("resid_post.0", int(top.group[0]), "spread", text)
    strengths = [excerpt.activations[excerpt.centre] for excerpt in spread]
    assert all(a >= b * 0.99 for a, b in itertools.pairwise(strengths))


def test_neither_file_holds_the_text(folder: Path) -> None:
    columns = pq.read_schema(folder / "exemplars.parquet").names
    assert not {"tokens", "text"} & set(columns)


def test_the_same_observations_give_the_same_bytes(
    folder: Path, described: list[Described], tmp_path: Path
) -> None:
    write_tables(described, SPELLING, tmp_path)
    for name in ("features.parquet", "exemplars.parquet"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_another_text_is_noticed(folder: Path, text: PackedText) -> None:
    tables = Tables(folder)
    last = tables.query(
        "SELECT unit FROM exemplars WHERE family = 'resid_post.0' AND kind = 'top'"
        " ORDER BY position DESC LIMIT 1"
    )
    with pytest.raises(TomogramError, match="another text"):
        tables.excerpts("resid_post.0", last[0]["unit"], "top", text.take([0]))


def test_a_table_in_memory_answers_as_its_file_does(folder: Path) -> None:
    tables = Tables(folder)
    asked = "SELECT * FROM features ORDER BY family, unit"
    before = tables.query(asked)
    for _ in range(2):
        tables.hold("features")
        assert tables.query(asked) == before
    assert list(tables.stream(asked)) == before


def test_queries_reach_nothing_but_the_tables(folder: Path) -> None:
    tables = Tables(folder)
    for sql in ("SELECT * FROM read_text('/etc/hosts')", "COPY features TO '/tmp/x.csv'"):
        with pytest.raises(TomogramError, match="cannot answer"):
            tables.query(sql)
    with pytest.raises(TomogramError, match="cannot answer"):
        tables.query("SELECT nonsense FROM features")
    with pytest.raises(TomogramError, match="no unit 999"):
        tables.unit("resid_post.0", 999)


def test_missing_damaged_and_newer_tables_are_one_clear_sentence(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(TomogramError, match="no table at"):
        Tables(tmp_path)
    for name in ("features.parquet", "exemplars.parquet"):
        (tmp_path / name).write_bytes((folder / name).read_bytes()[:-50])
    with pytest.raises(TomogramError, match="damaged"):
        Tables(tmp_path)
    table = pa.table({"unit": [1]})
    pq.write_table(table, tmp_path / "features.parquet")
    with pytest.raises(TomogramError, match="none of a feature table"):
        Tables(tmp_path)
    pq.write_table(
        table.replace_schema_metadata({"tomogram.features": "99"}), tmp_path / "features.parquet"
    )
    with pytest.raises(TomogramError, match="newer than this version"):
        Tables(tmp_path)
