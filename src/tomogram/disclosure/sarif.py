"""Findings as SARIF 2.1.0 (OASIS), for the places where teams look at findings.

Verdicts become kinds (section 3.27.9 of the standard): a finding *fails*; a suspicion asks for
*review*; an abstention leaves the question *open*; a report, and where nothing was found, are
*informational*, never *pass*, because an audit that finds nothing has not found a model clean.
"""

from __future__ import annotations

from collections.abc import Iterator

import tomogram
from tomogram.custody.consultations import Consultation, SuiteUse
from tomogram.disclosure.contents import NO_AUDITS
from tomogram.disclosure.facts import Facts
from tomogram.disclosure.use import NO_SUITE, about, answered, changed_after, use_block
from tomogram.report.tokens import visible
from tomogram.store.canonical import Json, readable_json
from tomogram.store.digest import digest_json

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_KINDS = {
    "finding": "fail",
    "suspicion": "review",
    "no finding": "informational",
    "reported": "informational",
    "abstained": "open",
}
_ANSWERS = {"ALARM": "fail", "PASS": "informational", "ABSTAIN": "open", None: "open"}


def sarif(facts: Facts) -> str:
    """The log as JSON."""
    results = [*_audits(facts), *_consultations(facts)]
    rules = list(dict.fromkeys(str(result["ruleId"]) for result in results))
    for result in results:
        result["ruleIndex"] = rules.index(str(result["ruleId"]))
    meanings = _meanings(facts)
    log: dict[str, Json] = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Tomogram",
                        "semanticVersion": tomogram.__version__,
                        "rules": [
                            {"id": rule, "shortDescription": {"text": meanings.get(rule, rule)}}
                            for rule in rules
                        ],
                    }
                },
                "artifacts": [
                    {
                        "location": {"uri": "tomogram.json"},
                        "hashes": {"sha-256": facts.manifest},
                        "description": {"text": f"The scan of {visible(facts.model.name)}."},
                    }
                ],
                "invocations": [
                    {
                        "commandLine": visible(facts.run.command),
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {"level": "note", "message": {"text": text}} for text in _notes(facts)
                        ],
                    }
                ],
                "results": results,
                "properties": {
                    "model": {"name": visible(facts.model.name), "sha256": facts.model.digest},
                    "howInterpretabilityWasUsed": use_block(facts),
                },
            }
        ],
    }
    return readable_json(log)


def _audits(facts: Facts) -> Iterator[dict[str, Json]]:
    for each in facts.audits.findings if facts.audits else ():
        yield _result(
            facts,
            f"audit/{visible(each.audit)}",
            _KINDS[each.kind],
            f"{visible(each.verdict)}. {visible(each.told)}".strip(),
            level="error" if each.site else "warning",
            site=each.site,
            properties={
                "score": each.score,
                "p": each.p,
                "adjustedP": each.adjusted_p,
                "cleanCopies": each.clean_copies,
                "foundDownToStrength": each.strength,
            },
        )


def _consultations(facts: Facts) -> Iterator[dict[str, Json]]:
    for use in facts.suites:
        for asked in use.consultations:
            yield _result(
                facts,
                f"sealed/{use.suite}/{asked.question}",
                _ANSWERS[asked.answer],
                _told(facts, use, asked),
                level="warning",
                properties={"row": asked.row, "model": asked.model, "bits": asked.bits},
            )


def _told(facts: Facts, use: SuiteUse, asked: Consultation) -> str:
    return (
        f"{answered(asked)} from shard {asked.shard} of the sealed suite {use.suite} about"
        f" {about(facts, asked)}, row {asked.row} of its ledger. What changed after it:"
        f" {visible(changed_after(facts, use.suite, asked))}."
    )


def _result(
    facts: Facts,
    rule: str,
    kind: str,
    text: str,
    *,
    level: str,
    site: str | None = None,
    properties: dict[str, Json],
) -> dict[str, Json]:
    name = visible(facts.model.name)
    place = {"name": site or name, "fullyQualifiedName": f"{name}/{site}" if site else name}
    identity = digest_json([facts.model.digest, rule, site, properties.get("row")])
    return {
        "ruleId": rule,
        "kind": kind,
        "level": level if kind == "fail" else "none",
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": "tomogram.json", "index": 0}},
                "logicalLocations": [place],
            }
        ],
        "partialFingerprints": {"tomogram/v1": identity},
        "properties": properties,
    }


def _notes(facts: Facts) -> Iterator[str]:
    """What a reader of findings must know beside them."""
    if facts.audits is None:
        yield NO_AUDITS
    if not facts.suites:
        yield NO_SUITE
    for each in facts.not_measured:
        yield f"Not measured: {visible(each.what)}. {visible(each.why)}"


def _meanings(facts: Facts) -> dict[str, str]:
    """What rules say, where more is known than their names."""
    return {
        f"sealed/{use.suite}/{question.name}": f"ALARM: {question.meaning}."
        for use in facts.suites
        for question in use.questions
        if question.meaning
    }
