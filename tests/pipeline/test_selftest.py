"""The selftest: every shipped circuit, by every method, from what is installed."""

from __future__ import annotations

import pytest

from tomogram.circuits.known import planted
from tomogram.circuits.known.measure import measure
from tomogram.pipeline.selftest import document, known_cases, means


def test_every_kind_of_known_circuit_is_there_once() -> None:
    cases = known_cases(pairs=2)
    assert {case.kind for case in cases} == {"tracr", "planted", "siit", "trained", "reference"}
    names = [(case.kind, case.name) for case in cases]
    assert len(set(names)) == len(names)
    for case in cases:
        assert len(case.searched) == len(case.held_out) == 2
        assert (case.truth is None) == (case.kind in ("siit", "trained", "reference"))


def test_means_are_over_the_circuits_of_a_kind() -> None:
    found = [each for case in planted.cases(pairs=4) for each in measure(case, ["eap", "exact"])]
    told = means(found)
    assert told["planted", "exact"][0] == 1
    eap = [each.auroc for each in found if each.method == "eap"]
    assert told["planted", "eap"][0] == pytest.approx(sum(eap) / 3)
    rows = document(found)
    assert len(rows) == 6
    assert rows[0]["circuit"] == "induction"  # type: ignore[index, call-overload]
