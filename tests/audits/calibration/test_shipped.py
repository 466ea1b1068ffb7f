"""The shipped calibration: of the shipped model and these audits, enough, of no judged model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmarks.audits.declaration import read
from tomogram.audits.audit import confirmatory
from tomogram.audits.calibration.scoring import INSTRUMENT, KNOWLEDGE
from tomogram.audits.calibration.shipped import TABLE, shipped
from tomogram.audits.verdicts import SHAM_SHARE, needed
from tomogram.models.model import Model


def test_it_is_of_the_shipped_model_and_of_these_audits(model: Model) -> None:
    found = shipped()
    assert found is not None
    assert found.about.base == model.digest
    assert found.about.instrument == INSTRUMENT
    assert found.about.declared == confirmatory()


def test_half_of_every_audits_clean_copies_are_matched_shams() -> None:
    found = shipped()
    assert found is not None
    for knowledge in KNOWLEDGE:
        for audit in found.about.declared:
            strata = Counter(
                row["stratum"]
                for row in found.rows
                if (row["knowledge"], row["audit"]) == (knowledge, audit)
                and row["stratum"] != "infected"
                and row["score"] is not None
            )
            assert strata.total() >= needed(2), audit  # so that two at least can be declared
            assert strata["sham"] >= SHAM_SHARE * strata.total(), audit


def test_no_model_of_a_figure_is_in_it() -> None:
    found = shipped()
    assert found is not None
    inside = {row["organism"] for row in found.rows}
    rounds = list(read().rounds("microworld"))
    judged = {o.name for part, _, orders in rounds for o in orders if part.split == "report"}
    meant = {o.name for part, _, orders in rounds for o in orders if part.split == "calibrate"}
    assert inside <= meant
    assert not inside & judged


def test_it_is_small_enough_for_the_wheel() -> None:
    assert isinstance(TABLE, Path)
    assert TABLE.stat().st_size < 1_000_000
