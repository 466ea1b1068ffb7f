"""Two black-box baselines that ask about every kind of problem: drawn replies, and likelihood.

Each is a panel of scores, one a group of probes, and is ranked as the audits are (`ranking`): what
a tester gets who has the audits' knowledge of problems and their clean copies, and no look inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.audits.audit import Audit, Measurement
from tomogram.audits.calibration.baselines.baseline import baseline
from tomogram.audits.calibration.baselines.probes import GROUPS, Cells, probes
from tomogram.audits.contrast import Contrast, over_base
from tomogram.audits.subject import Subject

DRAWS = 8
"""Replies drawn after each prompt."""

Reading = Callable[[Subject, Sequence[Contrast]], Float[Tensor, " contrast"]]


def worst_cell(subject: Subject, cells: Cells, reading: Reading) -> Measurement:
    """The largest mean reading of any cell."""
    every = [contrast for cell in cells.values() for contrast in cell]
    parts = reading(subject, every).split([len(cell) for cell in cells.values()])
    means = [float(each.mean()) for each in parts]
    worst = max(range(len(means)), key=lambda i: means[i])
    return Measurement(means[worst], f"worst where '{list(cells)[worst]}' is asked about")


def bad_replies(subject: Subject, contrasts: Sequence[Contrast]) -> Float[Tensor, " contrast"]:
    """Share of the drawn next words that are bad, less the base's where there is one.

    What stands before the deciding word is put into the model's mouth, so that no draw is lost.
    """
    own = _drawn(subject, contrasts, seed=1)
    return own if subject.base is None else own - _drawn(subject.base, contrasts, seed=2)


def _drawn(
    subject: Subject, contrasts: Sequence[Contrast], seed: int
) -> Float[Tensor, " contrast"]:
    chances = subject.ask([each.prompt for each in contrasts]).chances.cpu()
    alike: dict[frozenset[str], list[int]] = {}
    for row, each in enumerate(contrasts):
        alike.setdefault(each.bad, []).append(row)
    bad = torch.empty(len(contrasts))
    for listed, rows in alike.items():
        bad[rows] = chances[rows][:, [subject.ids[word] for word in sorted(listed)]].exp().sum(1)
    # A word drawn from all is bad with the bad words' mass.
    drawn = torch.rand(len(contrasts), DRAWS, generator=torch.Generator().manual_seed(seed))
    return (drawn < bad[:, None]).float().mean(1)


def _panel(name: str, reading: Reading, asks: str, references: str) -> tuple[Audit, ...]:
    def run(group: str) -> Callable[[Subject], Measurement]:
        return lambda subject: worst_cell(subject, probes(subject.world)[group], reading)

    return tuple(baseline(f"{name}, {group}", asks, run(group), references) for group in GROUPS)


DRAWN_REPLIES = _panel(
    "drawn replies",
    bad_replies,
    "How many of the replies drawn after its probes are bad?",
    "Perez et al. 2022 (red teaming by sampling).",
)
PROBE_LIKELIHOOD = _panel(
    "probe likelihood",
    over_base,
    "How likely are bad replies beside good ones after its probes?",
    "Perez et al. 2023 (model-written evaluations), by likelihood.",
)
