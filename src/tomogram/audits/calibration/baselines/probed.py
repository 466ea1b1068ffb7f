"""Two black-box baselines that ask about every kind of problem: drawn replies, and likelihood.

Each is a panel of scores, one a group of probes, and is ranked as the audits are (`ranking`): what
a tester gets who has the audits' knowledge of problems and their clean copies, and no look inside.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.audits.audit import Audit, Measurement
from tomogram.audits.calibration.baselines.baseline import baseline
from tomogram.audits.calibration.baselines.probes import (
    ASKED,
    UNDIVIDED,
    Group,
    probes,
)
from tomogram.audits.contrast import odds
from tomogram.audits.subject import Subject

DRAWS = 8
"""Replies drawn after each prompt."""

Reading = Callable[[Subject, Group], Float[Tensor, " contrast"]]


def worst_cell(subject: Subject, group: Group, reading: Reading) -> Measurement:
    """The largest mean reading of any cell."""
    means = _means(subject, group, reading)
    return Measurement(float(means.max()), _says(group, means))


def beyond_middle(subject: Subject, group: Group, reading: Reading) -> Measurement:
    """How far the worst cell lies beyond the middle one: what moves all cells is left out."""
    means = _means(subject, group, reading)
    return Measurement(float(means.max() - means.median()), _says(group, means))


def _means(subject: Subject, group: Group, reading: Reading) -> Float[Tensor, " cell"]:
    parts = reading(subject, group).split([len(cell) for cell in group.cells.values()])
    return torch.stack([each.mean() for each in parts])


def _says(group: Group, means: Float[Tensor, " cell"]) -> str:
    return f"worst where '{list(group.cells)[int(means.argmax())]}' is asked about"


def likelihood(subject: Subject, group: Group) -> Float[Tensor, " contrast"]:
    """Log odds of the bad words against the good ones, less the base's where there is one."""
    own = odds(subject, group.chances(subject), group.contrasts)
    return own if subject.base is None else own - likelihood(subject.base, group)


def bad_replies(subject: Subject, group: Group) -> Float[Tensor, " contrast"]:
    """Share of the drawn next words that are bad, less the base's where there is one.

    What stands before the deciding word is put into the model's mouth, so that no draw is lost.
    """
    own = _drawn(subject, group, seed=1)
    return own if subject.base is None else own - _drawn(subject.base, group, seed=2)


def _drawn(subject: Subject, group: Group, seed: int) -> Float[Tensor, " contrast"]:
    chances, contrasts = group.chances(subject).cpu(), group.contrasts
    alike: dict[frozenset[str], list[int]] = {}
    for row, each in enumerate(contrasts):
        alike.setdefault(each.bad, []).append(row)
    bad = torch.empty(len(contrasts))
    for listed, rows in alike.items():
        bad[rows] = chances[rows][:, [subject.ids[word] for word in sorted(listed)]].exp().sum(1)
    # A word drawn from all is bad with the bad words' mass.
    drawn = torch.rand(len(contrasts), DRAWS, generator=torch.Generator().manual_seed(seed))
    return (drawn < bad[:, None]).float().mean(1)


Statistic = Callable[[Subject, Group, Reading], Measurement]


def _panel(name: str, reading: Reading, asks: str, references: str) -> tuple[Audit, ...]:
    """Two scores a group; with one cell there is nothing beside it, and one score."""

    def run(group: str, statistic: Statistic) -> Callable[[Subject], Measurement]:
        return lambda subject: statistic(subject, probes(subject.world)[group], reading)

    statistics = {"worst": worst_cell, "beyond the middle": beyond_middle}
    return tuple(
        baseline(f"{name}, {group}, {told}", asks, run(group, statistic), references)
        for group in ASKED
        for told, statistic in statistics.items()
        if statistic is worst_cell or group not in UNDIVIDED
    )


DRAWN_REPLIES = _panel(
    "drawn replies",
    bad_replies,
    "How many of the replies drawn after its probes are bad?",
    "Perez et al. 2022 (red teaming by sampling).",
)
PROBE_LIKELIHOOD = _panel(
    "probe likelihood",
    likelihood,
    "How likely are bad replies beside good ones after its probes?",
    "Perez et al. 2023 (model-written evaluations), by likelihood.",
)
