"""Calibrate on a model that speaks English: plant, score, write the table, one copy at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tomogram.audits.calibration.scoring import write_scores
from tomogram.audits.calibration.summary import summary
from tomogram.audits.spoken.own import CALIBRATED
from tomogram.audits.spoken.scoring import about_copies_of, chosen, score
from tomogram.audits.spoken.speaker import Speaker
from tomogram.models.model import Model
from tomogram.organisms.spoken.base import prepare
from tomogram.organisms.spoken.zoo import plan, plant
from tomogram.store import progress
from tomogram.store.atomic import write_json
from tomogram.store.lock import exclusive

ROUNDS = 12
"""Rounds of three infected copies: 36 of them, 36 matched shams and 30 other clean copies."""


def calibrate_spoken(
    model: Model,
    folder: Path,
    *,
    audits: Sequence[str] = CALIBRATED,
    rounds: int = ROUNDS,
) -> Path:
    """Plant problems and clean copies in copies of a model that speaks English, and score them.

    Every copy and its scores are files of their own, so a run that was killed goes on where it was;
    the table and `calibration.json` are written after every round.

    Args:
        audits: the declared audits; with m of them a FINDING needs m / q − 1 clean copies.

    Returns the path of `scores.parquet`.

    Raises:
        TomogramError: the model has no chat template, or knows too few facts; an audit has no words
            in English; the folder is in use or not writable.
    """
    declared = chosen(audits)
    speaker = Speaker(model)
    about = about_copies_of(speaker, declared)
    table = folder / "scores.parquet"
    rows: list[dict[str, Any]] = []
    orders = plan(rounds)
    with exclusive(folder):
        base = prepare(model, folder)
        total = sum(len(each) for each in orders)
        with progress.task("calibrate", total=total, unit="copies") as task:
            for some in orders:
                for file in plant(base, some, folder / "organisms"):
                    rows += score(file, speaker, declared, folder / "scores")
                    task.advance()
                write_scores(rows, table, about)
                write_json(folder / "calibration.json", summary(rows, about.declared))
    return table
