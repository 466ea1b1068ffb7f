"""The form: measured and declared apart, readers named, and nothing invented."""

from __future__ import annotations

import json

import pytest

from tomogram.disclosure.document import Table
from tomogram.disclosure.eu_form import Form, eu_form, eu_form_json, filled
from tomogram.disclosure.facts import Facts
from tomogram.disclosure.form import ITEMS

MEASURED = {
    "model_name", "authenticity", "architecture", "design", "input", "output", "size",
    "size_range", "integration", "hardware", "software",
}  # fmt: skip
"""What a scan can know. Anything beyond it would be made up."""


def test_without_a_statement_only_what_was_measured_is_filled(bare: Facts) -> None:
    form = filled(bare)
    assert {each.key for each in form.items if each.measured} == MEASURED
    assert not any(each.declared for each in form.items)
    assert set(form.not_stated) == {item.key for item in ITEMS} - MEASURED


def test_declared_and_measured_stand_apart(facts: Facts) -> None:
    form = {each.key: each for each in filled(facts).items}
    assert (form["provider"].measured, form["provider"].declared) == ("", "Lamps & Sons")
    assert form["authenticity"].measured.endswith(facts.model.digest)
    assert form["licence"].declared == "Apache-2.0"
    assert form["dependencies"].declared == "lamps/lamp-1"
    assert form["data_points"].declared == "7.3e10"
    assert form["energy"].declared == form["energy"].measured == ""


@pytest.mark.parametrize(
    ("total", "measured", "in_range"),
    [
        (2_132_160, "2.13e+06", "1 to 500 million"),
        (500_000_000, "5.00e+08", "1 to 500 million"),
        (500_000_001, "5.00e+08", "500 million to 5 billion"),
        (7_300_000_000, "7.30e+09", "5 to 15 billion"),
        (2_000_000_000_000, "2.00e+12", "more than 1 trillion"),
    ],
)
def test_sizes(facts: Facts, total: int, measured: str, in_range: str) -> None:
    own = facts.model.parameters.model_copy(update={"total": total})
    model = facts.model.model_copy(update={"parameters": own})
    form = {e.key: e for e in filled(facts.model_copy(update={"model": model})).items}
    assert form["size"].measured.startswith(measured)
    assert form["size_range"].measured == f"{in_range} parameters"


def test_what_a_scan_knows_in_part_says_so_until_the_provider_states_it(
    bare: Facts, facts: Facts
) -> None:
    alone = filled(bare)
    assert set(alone.in_part) == {"model_name", "design", "integration", "hardware", "software"}
    assert set(alone.in_part) <= MEASURED
    assert "5 of them in part" in eu_form(bare).subtitle
    form = facts.statement.form | {"design": "Deep and narrow, because lamps are."}
    statement = facts.statement.model_copy(update={"form": form})
    stated = filled(facts.model_copy(update={"statement": statement}))
    assert "design" not in stated.in_part
    assert "hardware" in stated.in_part


def test_readers(facts: Facts) -> None:
    form = {each.key: each.audiences for each in filled(facts).items}
    assert form["energy"] == ("AI Office", "national competent authorities")
    assert form["software"] == ("downstream providers",)
    assert form["training_time"] == ("AI Office",)
    assert form["training_time_range"] == ("national competent authorities",)
    assert len(form["data_provenance"]) == 3


def test_the_document_holds_every_item_once(facts: Facts) -> None:
    document = eu_form(facts)
    rows = [
        row[0]
        for section in document.sections
        for part in section.parts
        if isinstance(part, Table) and part.columns[0] == "Item"
        for row in part.rows
    ]
    partly = {item.name for item in ITEMS if item.key in filled(facts).in_part}
    assert [row.removesuffix(" (in part)") for row in rows] == [item.name for item in ITEMS]
    assert {row for row in rows if row.endswith("(in part)")} == {f"{n} (in part)" for n in partly}
    assert document.sections[-1].title == "Annex: how interpretability was used"


def test_the_file_for_machines(facts: Facts) -> None:
    body = json.loads(eu_form_json(facts))
    block = body.pop("annex_how_interpretability_was_used")
    assert len(block["suites"][0]["consultations"]) == 3
    assert Form.model_validate_json(json.dumps(body)) == filled(facts)
