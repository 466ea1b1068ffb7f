"""The examples' suite is used between two machines, and its copy tells all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.custody.lamps import Darkness, Lamp
from examples.disclosures import custody
from tomogram.custody.anchor import read_anchor
from tomogram.custody.budget import Terms
from tomogram.custody.consultations import suite_use
from tomogram.custody.keys import read_identity
from tomogram.custody.ledger import rows
from tomogram.custody.verify import accepted, verify_suite
from tomogram.store.errors import TomogramError

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
TERMS = Terms(clusters=200, width=0.2, delta=0.05, alarms=3, noise=0.02)
LAMPS = {"earlier": Lamp(0.1), "dropped": Lamp(0.2), "released": Lamp(0.3)}


def test_what_goes_right_and_what_goes_wrong(tmp_path: Path) -> None:
    said: list[str] = []
    where = custody.use_suite(tmp_path, Darkness(), TERMS, LAMPS, said.append)
    kinds = [row.kind for row in rows(where.copy / "ledger.jsonl")]
    # The kill comes after the row `ask`; so small a question may be answered before it.
    assert [kind for kind in kinds if kind != "answer"] == [
        "suite", "ask", "refusal", "ask", "refusal", "ask", "checkpoint",
    ]  # fmt: skip
    assert (said[0], said[-1]) == ("run-1: PASS", "release: PASS")
    use = suite_use(where.copy, questions={}, anchor=read_anchor(where.anchor))
    assert [refused.reason for refused in use.refusals] == ["missing party", "wrong consent"]
    assert not (where.copy / "shards").exists()
    assert custody.use_suite(tmp_path, Darkness(), TERMS, LAMPS) == where  # found, not used again
    where.anchor.unlink()
    with pytest.raises(TomogramError, match="not used to its end"):
        custody.use_suite(tmp_path, Darkness(), TERMS, LAMPS)


def test_the_example_that_stands_in_the_docs_is_whole() -> None:
    folder = EXAMPLES / "microworld"
    names = ("auditor", "developer")
    identities = [read_identity(folder / f"{name}.pub.json") for name in names]
    head = read_anchor(folder / "anchor.json")
    checks = verify_suite(folder / "suite", anchor=head, identities=identities)
    assert accepted(checks)
    unchecked = {check.name for check in checks if str(check.outcome) == "could not be checked"}
    assert unchecked == {"file of run-1", "file of run-2", "file of release"}
