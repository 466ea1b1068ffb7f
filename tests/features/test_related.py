from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.features.labels import Labeller
from tomogram.features.promoted import latent_directions
from tomogram.features.related import related, write_related
from tomogram.features.survey import Observation, readers, survey
from tomogram.features.tables import Described, Tables, write_tables
from tomogram.models.model import Model
from tomogram.text.packing import PackedText


@pytest.fixture(scope="module")
def observed(
    model: Model, text: PackedText, dictionaries: list[Dictionary]
) -> dict[str, Observation]:
    return survey(model, text, readers(model, text, dictionaries), batch_rows=4)


@pytest.fixture(scope="module")
def table(
    observed: dict[str, Observation], model: Model, dictionaries: list[Dictionary]
) -> pa.Table:
    directions = {d.name: latent_directions(model, d) for d in dictionaries}
    return related(list(observed.values()), directions)


@pytest.fixture(scope="module")
def tables(
    table: pa.Table,
    observed: dict[str, Observation],
    text: PackedText,
    tmp_path_factory: pytest.TempPathFactory,
) -> Tables:
    folder = tmp_path_factory.mktemp("related")
    labeller = Labeller(text, np.arange(text.rows))
    families = [Described(each, labeller.label(each), None) for each in observed.values()]
    write_tables(families, [f" w{i}" for i in range(40)], folder)
    write_related(table, folder)
    return Tables(folder)


def test_cofiring_is_that_of_all_firings(tables: Tables, observed: dict[str, Observation]) -> None:
    # The text is short enough for most units' sketches to hold all of their firings.
    fired = {
        (name, unit): set(own.sample.position[own.sample.unit == unit].tolist())
        for name, own in observed.items()
        for unit in range(own.family.size)
    }
    rows = tables.query("SELECT * FROM related WHERE relation = 'cofires'")
    whole = 0
    for row in rows:
        one, other = (fired[row[f"{o}family"], row[f"{o}unit"]] for o in ("", "other_"))
        if max(len(one), len(other)) < 48:
            whole += 1
            assert row["both"] == len(one & other)
            assert row["either"] == len(one | other)
    assert whole > 50


def test_relations_hold_what_they_say(tables: Tables) -> None:
    rows = tables.query(
        "SELECT r.*, f.layer, f.kind, o.layer AS there, o.kind AS other_kind FROM related r"
        " JOIN features f USING (family, unit)"
        " JOIN features o ON o.family = r.other_family AND o.unit = r.other_unit"
    )
    kinds = {row["relation"] for row in rows}
    assert {"cofires", "later", "earlier", "neuron", "resembles"} <= kinds
    for row in rows:
        assert (row["family"], row["unit"]) != (row["other_family"], row["other_unit"])
        assert row["kind"] == "latent"
        assert row["other_kind"] == ("neuron" if row["relation"] == "neuron" else "latent")
        step = {"earlier": -1, "later": 1}.get(row["relation"])
        assert step is None or row["there"] - row["layer"] == step
        assert (row["both"] is None) == (row["relation"] == "resembles")
        assert -1.001 <= row["score"] <= 1.001


def test_a_merged_survey_gives_the_same_table(
    model: Model,
    text: PackedText,
    dictionaries: list[Dictionary],
    observed: dict[str, Observation],
    table: pa.Table,
) -> None:
    found = readers(model, text, dictionaries)
    halves = [
        survey(model, text, found, batch_rows=4, rows=rows)
        for rows in np.split(np.arange(text.rows), 2)
    ]
    merged = [halves[0][name].merge(halves[1][name]) for name in observed]
    directions = {d.name: latent_directions(model, d) for d in dictionaries}
    assert related(merged, directions).equals(table)


def test_a_folder_without_the_table_has_no_relations(
    tmp_path: Path, observed: dict[str, Observation]
) -> None:
    name, own = next(iter(observed.items()))
    write_tables([Described(own, [None] * own.family.size, None)], [" w"] * 40, tmp_path)
    assert Tables(tmp_path).query("SELECT * FROM related") == []
    assert Tables(tmp_path).unit(name, 0)["label"] is None
