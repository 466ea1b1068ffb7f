"""The atlas of a model that does one thing: what it claims, its proof, and how it resumes."""

from __future__ import annotations

from pathlib import Path

import pytest

import tomogram.pipeline.atlas as pipeline
from tests.circuits.discovery.test_behaviours import model, text
from tomogram.circuits.discovery.discover import Settings
from tomogram.models.model import Model
from tomogram.text.packing import PackedText

__all__ = ["model", "text"]  # fixtures that stand elsewhere
SETTINGS = Settings(method="eap", limit=0.3, sampled=0)


def draw(model: Model, text: PackedText, out: Path) -> dict[str, object]:
    return pipeline.atlas(model, out, text=text, clusters=3, pairs=8, settings=SETTINGS)


def test_mechanisms_claim_tokens_once_and_say_how_faithful_they_are(
    model: Model, text: PackedText, tmp_path: Path
) -> None:
    found = draw(model, text, tmp_path)
    mechanisms = found["mechanisms"]
    assert mechanisms
    for each in mechanisms:
        assert len({tuple(place) for place in each["claims"]}) == len(each["claims"])
        assert each["predictions"] == len(each["claims"])
        assert each["share"] <= SETTINGS.limit
        assert each["metric"]["whole"] > 0 > each["metric"]["empty"]
        assert each["edges"]
    worth = [
        each["share_of_predictions"] * min(1.0, each["faithfulness"]["value"])
        for each in mechanisms
    ]
    assert worth == sorted(worth, reverse=True)


def test_an_interrupted_atlas_goes_on_where_it_was(
    model: Model, text: PackedText, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = draw(model, text, tmp_path / "whole")
    calls = 0
    discover = pipeline.discover

    def once(*arguments, **named):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return discover(*arguments, **named)

    monkeypatch.setattr(pipeline, "discover", once)
    with pytest.raises(KeyboardInterrupt):
        draw(model, text, tmp_path / "cut")
    before = calls
    assert draw(model, text, tmp_path / "cut") == whole
    # The first behaviour was not looked into again.
    assert calls - before == whole_calls(whole) - 1


def whole_calls(found: dict[str, object]) -> int:
    return sum(each["merged"] for each in found["mechanisms"])  # type: ignore[attr-defined]
