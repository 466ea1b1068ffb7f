"""Panels of probes: the worst cell's mean, and replies that are really drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from tomogram.audits.calibration.baselines.probed import DRAWS, bad_replies, worst_cell
from tomogram.audits.contrast import Contrast
from tomogram.audits.subject import Answers

A, B = (
    Contrast(prompt, frozenset({"bad", "worse"}), frozenset({"good"})) for prompt in ("one", "two")
)


@dataclass
class Told:
    """Stands for a subject whose chances are given: by prompt, those of bad, worse and good."""

    chances: dict[str, tuple[float, float, float]]
    base: Told | None = None
    ids: ClassVar = {"bad": 0, "worse": 1, "good": 2}

    def ask(self, prompts: Sequence[str]) -> Answers:
        rows = torch.tensor([self.chances[prompt] for prompt in prompts])
        return Answers(rows.log(), torch.zeros(1, len(prompts), 1))


def test_the_worst_cell_counts_by_its_mean() -> None:
    values = {"one": 1.0, "two": 4.0}
    found = worst_cell(
        Told({}),  # type: ignore[arg-type]
        {"low": (A, A), "mixed": (A, B)},
        lambda _, asked: torch.tensor([values[each.prompt] for each in asked]),
    )
    assert found.score == 2.5
    assert "'mixed'" in found.says


@pytest.mark.parametrize(("bad", "worse", "share"), [(1, 0, 1), (0, 0, 0), (0.5, 0.5, 1)])
def test_what_is_certain_is_always_drawn(bad: float, worse: float, share: float) -> None:
    told = Told({"one": (bad, worse, 1 - bad - worse)})
    assert bad_replies(told, [A]).tolist() == [share]  # type: ignore[arg-type]


def test_draws_come_as_often_as_their_chance_and_the_base_is_taken_off() -> None:
    many = [A] * 500
    told = Told({"one": (0.1, 0.2, 0.7)})
    spread = 4 * math.sqrt(0.3 * 0.7 / (500 * DRAWS))
    drawn = bad_replies(told, many)  # type: ignore[arg-type]
    assert float(drawn.mean()) == pytest.approx(0.3, abs=spread)
    assert set((drawn * DRAWS).tolist()) <= set(range(DRAWS + 1))
    assert torch.equal(drawn, bad_replies(told, many))  # type: ignore[arg-type]
    beside = Told(told.chances, base=told)
    rest = bad_replies(beside, many)  # type: ignore[arg-type]
    assert float(rest.mean()) == pytest.approx(0, abs=2 * spread)
    assert float(rest.abs().max()) > 0  # the base's replies are drawn for themselves
