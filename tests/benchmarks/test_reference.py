"""The benchmark of the reference models."""

from __future__ import annotations

import json

import pytest

from benchmarks.harness import main
from benchmarks.reference import MOST_REFUSED, TARGETS, measure_all
from tomogram.reference import path
from tomogram.reference.card import MEANING
from tomogram.store.errors import TomogramError


def test_every_target_is_of_a_behaviour_that_is_measured() -> None:
    assert set(TARGETS) <= set(MEANING)


def test_it_prints_every_behaviour(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        path()
    except TomogramError:
        pytest.skip("this checkout holds no reference weights yet")
    main("reference", measure_all, ["--quick", "--json"])
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    figures = printed["figures"]
    assert set(figures) == {*MEANING, "harmless refused"}
    for name, target in {**TARGETS, "harmless refused": MOST_REFUSED}.items():
        assert figures[name]["target"] == target
    refused, complied = figures["harmless refused"], figures["compliance"]
    assert refused["value"] == pytest.approx(1 - complied["value"])
    assert refused["low"] <= refused["value"] <= refused["high"]
    assert refused["met"] is (refused["value"] <= MOST_REFUSED)
