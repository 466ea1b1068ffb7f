"""A CycloneDX 1.6 bill of materials of one machine-learning model (ECMA-424).

By cyclonedx-python-lib (extra `disclosure`). That library has no model card yet, so the card is put
into its JSON, and the whole is validated against the schema that the library carries before it is
written.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import tomogram
from tomogram.disclosure.facts import Facts
from tomogram.disclosure.figures import Figure, figures
from tomogram.disclosure.use import use_block
from tomogram.report.tokens import visible
from tomogram.store.canonical import Json, canonical_json, readable_json
from tomogram.store.digest import digest_json
from tomogram.store.errors import TomogramError

_SUBJECT = "model"


def cyclonedx(facts: Facts) -> str:
    """The bill of materials as JSON. Raises TomogramError where the library is not installed."""
    try:
        from cyclonedx.output.json import JsonV1Dot6
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError as error:
        raise TomogramError("CycloneDX needs an extra: pip install 'tomogram[disclosure]'.") from (
            error
        )
    bill = json.loads(JsonV1Dot6(_bill(facts)).output_as_string())
    bill["metadata"]["component"]["modelCard"] = _model_card(facts)
    text = readable_json(bill)
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem is not None:
        raise AssertionError(f"the bill does not fit the schema of CycloneDX: {problem}")
    return text


def _bill(facts: Facts) -> Any:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType

    tool = Component(name="tomogram", version=tomogram.__version__, type=ComponentType.APPLICATION)
    made = datetime.fromisoformat(facts.made).replace(tzinfo=UTC)
    metadata = BomMetaData(component=_component(facts), timestamp=made)
    metadata.tools.components.add(tool)
    serial = uuid5(NAMESPACE_URL, f"tomogram:{digest_json(facts.model_dump(mode='json'))}")
    return Bom(serial_number=serial, metadata=metadata)


def _component(facts: Facts) -> Any:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import (
        ExternalReference,
        ExternalReferenceType,
        HashAlgorithm,
        HashType,
        Property,
        XsUri,
    )
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.contact import OrganizationalEntity

    own = facts.statement
    provider = own.declared("provider")
    found = HashType(alg=HashAlgorithm.SHA_256, content=facts.manifest)
    licences = [LicenseFactory().make_from_string(own.licence)] if own.licence else []
    return Component(
        bom_ref=_SUBJECT,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=visible(facts.model.name),
        supplier=OrganizationalEntity(name=provider) if provider else None,
        licenses=licences,
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.EVIDENCE,
                url=XsUri("tomogram.json"),
                comment="The scan this bill was made from.",
                hashes=[found],
            )
        ],
        properties=[Property(name=name, value=value) for name, value in _properties(facts)],
    )


def _properties(facts: Facts) -> list[tuple[str, str]]:
    model = facts.model
    return [
        # Not among the component's hashes: it is over all files, not over one.
        ("tomogram:model:sha256", model.digest),
        ("tomogram:model:dtype", model.dtype),
        ("tomogram:model:weights", visible(model.weights) or "as stored"),
        ("tomogram:model:parameters", str(model.parameters.total)),
        ("tomogram:scan:command", visible(facts.run.command)),
    ]


def _model_card(facts: Facts) -> dict[str, Json]:
    return {
        "modelParameters": {
            "task": "text generation",
            "architectureFamily": "transformer",
            "modelArchitecture": visible(facts.model.family),
            "inputs": [{"format": "text"}],
            "outputs": [{"format": "text"}],
            "datasets": [
                {
                    "type": "dataset",
                    "name": visible(facts.text.name),
                    "description": "The text the scan read; not a statement about what the model"
                    f" was trained on. SHA-256 of its tokens: {facts.text.digest}.",
                }
            ],
        },
        "quantitativeAnalysis": {"performanceMetrics": [_metric(each) for each in figures(facts)]},
        "considerations": {
            "technicalLimitations": [
                f"{visible(each.what)}: {visible(each.why)}" for each in facts.not_measured
            ],
        },
        "properties": [
            *(
                {"name": f"tomogram:audit:{visible(each.audit)}", "value": visible(each.verdict)}
                for each in (facts.audits.findings if facts.audits else ())
            ),
            *(
                {"name": f"tomogram:how-interpretability-was-used:{name}", "value": _text(value)}
                for name, value in use_block(facts).items()
            ),
        ],
    }


def _metric(figure: Figure) -> dict[str, Json]:
    metric: dict[str, Json] = {"type": figure.key, "value": repr(figure.value), "slice": "held out"}
    if figure.interval is not None:
        low, high = map(repr, figure.interval)
        metric["confidenceInterval"] = {"lowerBound": low, "upperBound": high}
    return metric


def _text(value: Json) -> str:
    return value if isinstance(value, str) else canonical_json(value)
