"""The bill of materials fits the schema of CycloneDX, as its own library reads it."""

from __future__ import annotations

import json

import pytest

from tomogram.disclosure.facts import Facts
from tomogram.disclosure.figures import figures

validation = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx is not installed")
schema = pytest.importorskip("cyclonedx.schema")

from tomogram.disclosure.cyclonedx import cyclonedx  # noqa: E402


def problem(text: str) -> object:
    return validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(text)


@pytest.mark.parametrize("which", ["facts", "bare", "hostile"])
def test_it_fits_the_schema(which: str, request: pytest.FixtureRequest) -> None:
    assert problem(cyclonedx(request.getfixturevalue(which))) is None


def test_the_schema_would_have_refused_an_unknown_field(facts: Facts) -> None:
    bill = json.loads(cyclonedx(facts))
    bill["metadata"]["component"]["modelCard"]["mood"] = "cheerful"
    assert problem(json.dumps(bill)) is not None


def test_what_it_says(facts: Facts) -> None:
    component = json.loads(cyclonedx(facts))["metadata"]["component"]
    assert component["type"] == "machine-learning-model"
    assert component["supplier"]["name"] == "Lamps & Sons"
    assert component["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    properties = {each["name"]: each["value"] for each in component["properties"]}
    assert properties["tomogram:model:sha256"] == facts.model.digest
    card = component["modelCard"]
    metrics = {each["type"]: each for each in card["quantitativeAnalysis"]["performanceMetrics"]}
    assert {name: float(each["value"]) for name, each in metrics.items()} == {
        each.key: each.value for each in figures(facts)
    }
    said = {each["name"].rpartition(":")[2]: each["value"] for each in card["properties"]}
    assert said["backdoor"] == "FINDING (located)"
    assert said["training_signal_touched_an_instrument"].startswith("no (declared)")
    (suite,) = json.loads(said["suites"])
    assert len(suite["consultations"]) == 3


def test_what_is_not_declared_is_left_out(bare: Facts) -> None:
    component = json.loads(cyclonedx(bare))["metadata"]["component"]
    assert "licenses" not in component
    assert "supplier" not in component


def test_a_licence_that_spdx_does_not_know_is_a_name(facts: Facts) -> None:
    own = facts.statement.model_copy(update={"licence": "Lamp Licence"})
    bill = json.loads(cyclonedx(facts.model_copy(update={"statement": own})))
    assert bill["metadata"]["component"]["licenses"] == [{"license": {"name": "Lamp Licence"}}]


def test_the_same_facts_give_the_same_bill(facts: Facts) -> None:
    assert cyclonedx(facts) == cyclonedx(facts)
