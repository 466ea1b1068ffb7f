"""The list of units: search, filters, order, pages."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.report.folder import FAMILIES
from tests.viewer.folder import write_scan
from tomogram.models.model import Model
from tomogram.pipeline.searching import open_search
from tomogram.store.errors import TomogramError
from tomogram.viewer.catalogue import Wanted, spark
from tomogram.viewer.content import Content

UNITS = sum(family.size for family in FAMILIES)


def test_every_unit_is_listed_once(content: Content) -> None:
    found = content.catalogue.rows(Wanted(limit=500))
    assert found["total"] == len(found["rows"]) == UNITS
    assert len({(row["family"], row["unit"]) for row in found["rows"]}) == UNITS


def test_pages_follow_one_another_without_a_gap(content: Content) -> None:
    whole = content.catalogue.rows(Wanted(limit=500))["rows"]
    parts = [
        row
        for offset in range(0, UNITS, 7)
        for row in content.catalogue.rows(Wanted(offset=offset, limit=7))["rows"]
    ]
    assert parts == whole


@pytest.mark.parametrize("sort", ["score", "rate", "largest", "label", "place"])
@pytest.mark.parametrize("descending", [True, False])
def test_rows_come_in_order_and_those_without_a_value_last(
    content: Content, sort: str, descending: bool
) -> None:
    rows = content.catalogue.rows(Wanted(sort=sort, descending=descending, limit=500))["rows"]
    name = {"place": "layer"}.get(sort, sort)
    values = [row[name].lower() if sort == "label" and row[name] else row[name] for row in rows]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=descending)
    assert values == known + [None] * (len(values) - len(known))


def test_filters_keep_what_they_say(content: Content) -> None:
    def rows(**wanted: str) -> list[dict]:
        return content.catalogue.rows(Wanted(limit=500, **wanted))["rows"]

    assert {row["family"] for row in rows(family="resid_post.1")} == {"resid_post.1"}
    assert {row["kind"] for row in rows(kind="neuron")} == {"neuron"}
    assert all(row["count"] == 0 for row in rows(state="silent"))
    assert len(rows(state="silent")) == len(FAMILIES)  # the last unit of each never fires
    assert all(row["label"] is not None for row in rows(state="labelled"))
    assert all(row["label"] is None and row["count"] for row in rows(state="unlabelled"))


def test_a_search_confines_the_list_and_near_duplicates_stand_with_the_best(
    content: Content,
) -> None:
    """In the example unit u of both dictionaries fires on token u: they are near-duplicates."""
    number = content.search.catalogue.number
    found = [(number("resid_post.1", 5), 3.0), (number("resid_post.0", 5), 2.0),
             (number("resid_post.0", 7), 1.0), (number("neurons.0", 2), 0.5)]  # fmt: skip
    rows = content.catalogue.rows(Wanted(), found)["rows"]
    assert [(row["family"], row["unit"], row["duplicates"]) for row in rows] == [
        ("resid_post.1", 5, 1),
        ("resid_post.0", 7, 0),
        ("neurons.0", 2, 0),
    ]
    only = content.catalogue.rows(Wanted(family="resid_post.0"), found)
    assert [row["unit"] for row in only["rows"]] == [5, 7]
    assert only["total"] == 2
    assert content.catalogue.rows(Wanted(offset=1, limit=1), found)["rows"] == rows[1:2]
    up = content.catalogue.rows(Wanted(sort="place", descending=False), found)["rows"]
    assert [row["layer"] for row in up] == sorted(row["layer"] for row in rows)
    assert content.catalogue.rows(Wanted(), [])["total"] == 0


def test_the_best_come_first_by_what_their_labels_tell(content: Content) -> None:
    rows = content.catalogue.rows(Wanted(state="labelled", limit=500))["rows"]
    worth = [-row["score"] * math.log(row["rate"]) for row in rows]
    assert worth == sorted(worth, reverse=True)


@pytest.mark.parametrize(
    "wanted",
    [{"kind": "other"}, {"state": "x"}, {"sort": "unit; DROP"}, {"offset": -1}, {"limit": 501}],
)
def test_what_makes_no_sense_is_refused(wanted: dict) -> None:
    with pytest.raises(TomogramError):
        Wanted(**wanted)


def test_a_spark_keeps_the_shape_and_drops_the_empty_ends() -> None:
    assert spark([0, 0, 4, 0, 100, 1, 0]) == [2, "2091"]
    assert spark([0, 0]) == [0, ""]


def test_a_truncated_table_is_refused_in_one_sentence(model: Model, tmp_path: Path) -> None:
    folder = write_scan(tmp_path / "scan", model)
    path = folder / "features" / "features.parquet"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(TomogramError, match="damaged"):
        Content(open_search(folder))


def test_a_hole_in_a_table_is_refused_in_one_sentence(model: Model, tmp_path: Path) -> None:
    folder = write_scan(tmp_path / "scan", model)
    path = folder / "features" / "features.parquet"
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = b"\xff" * (len(data) // 2 - 4)
    path.write_bytes(data)
    with pytest.raises(TomogramError):
        Content(open_search(folder))
