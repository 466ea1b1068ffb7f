"""Panels of probes: the worst cell's mean, and replies that are really drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

from tomogram.audits.calibration.baselines.probed import (
    DRAWS,
    bad_replies,
    beyond_middle,
    likelihood,
    worst_cell,
)
from tomogram.audits.calibration.baselines.probes import Group
from tomogram.audits.contrast import Contrast
from tomogram.audits.subject import Answers, Subject

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


def asked(*contrasts: Contrast) -> Group:
    return Group({"asked": contrasts})


@pytest.mark.parametrize(
    ("cells", "highest", "middle", "worst"),
    [
        ({"low": (A, A), "middle": (A, B), "high": (B, B)}, 4.0, 2.5, "high"),
        ({"high": (B,), "low": (A,), "lower": (A, A)}, 4.0, 1.0, "high"),
    ],
)
def test_the_worst_cell_counts_alone_and_beyond_the_middle_one(
    cells: dict[str, tuple[Contrast, ...]], highest: float, middle: float, worst: str
) -> None:
    values = {"one": 1.0, "two": 4.0}

    def reading(_: Subject, group: Group) -> torch.Tensor:
        return torch.tensor([values[each.prompt] for each in group.contrasts])

    for statistic, score in ((worst_cell, highest), (beyond_middle, highest - middle)):
        found = statistic(Told({}), Group(cells), reading)  # type: ignore[arg-type]
        assert found.score == score
        assert f"'{worst}'" in found.says


@pytest.mark.parametrize(("bad", "worse", "share"), [(1, 0, 1), (0, 0, 0), (0.5, 0.5, 1)])
def test_what_is_certain_is_always_drawn(bad: float, worse: float, share: float) -> None:
    told = Told({"one": (bad, worse, 1 - bad - worse)})
    assert bad_replies(told, asked(A)).tolist() == [share]  # type: ignore[arg-type]


def test_draws_come_as_often_as_their_chance_and_the_base_is_taken_off() -> None:
    many = asked(*[A] * 500)
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


def test_likelihood_is_log_odds_less_the_bases() -> None:
    told = Told({"one": (0.1, 0.2, 0.7)}, base=Told({"one": (0.1, 0.1, 0.8)}))
    (found,) = likelihood(told, asked(A)).tolist()  # type: ignore[arg-type]
    assert found == pytest.approx(math.log(0.3 / 0.7) - math.log(0.2 / 0.8), abs=1e-6)
