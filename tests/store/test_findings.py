"""Verdicts: what may be told of each, and nothing of one that is none."""

from __future__ import annotations

import pytest

from tomogram.store.findings import Finding


@pytest.mark.parametrize(
    ("verdict", "kind", "told"),
    [
        ("FINDING (located)", "finding", "it lies, at mlp_out.2"),
        ("FINDING (detected)", "finding", "it lies, at mlp_out.2"),
        ("SUSPICION (p 0.04)", "suspicion", "it lies, at mlp_out.2"),
        ("NO FINDING down to strength 0.40", "no finding", "Raw score +1.50."),
        ("ABSTAIN (0 clean copies; 19 needed)", "abstained", "Raw score +1.50, not judged."),
        (
            "ABSTAIN (it reports and is not declared)",
            "reported",
            "Raw score +1.50, not judged: it lies.",
        ),
    ],
)
def test_only_a_finding_or_a_report_says_what_it_saw(verdict: str, kind: str, told: str) -> None:
    found = Finding(audit="lies", verdict=verdict, says="it lies", score=1.5, site="mlp_out.2")
    assert (found.kind, found.told) == (kind, told)


def test_an_abstention_without_a_score_tells_nothing() -> None:
    assert Finding(audit="change", verdict="ABSTAIN (no base)", says="").told == ""
