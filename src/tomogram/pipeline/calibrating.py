"""Calibrate audits on a model: plant problems and clean copies in copies of it, score them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tomogram.audits.calibration import scoring
from tomogram.audits.calibration.about import About, read_about
from tomogram.audits.calibration.scoring import read_scores, score_zoo, write_scores
from tomogram.audits.calibration.summary import summary
from tomogram.audits.spoken import scoring as spoken
from tomogram.audits.spoken.audit import SpokenAudit
from tomogram.audits.spoken.own import CALIBRATED
from tomogram.audits.spoken.speaker import Speaker
from tomogram.models.chat import has_template
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.organisms.organism import Order
from tomogram.organisms.spoken.base import prepare
from tomogram.organisms.spoken.zoo import CALIBRATED as CALIBRATED_FAMILIES
from tomogram.organisms.spoken.zoo import LESSON, plant
from tomogram.organisms.spoken.zoo import plan as plan_in_english
from tomogram.organisms.zoo import FAMILIES, build, plan
from tomogram.reference.shipped import world_of
from tomogram.report.calibration import render
from tomogram.store import progress
from tomogram.store.atomic import write_json, write_text
from tomogram.store.errors import TomogramError
from tomogram.store.lock import exclusive

ROUNDS, IN_ENGLISH = 2, 12
"""Variants of each family. Twelve rounds in English are 36 infected copies, 36 matched shams and 30
other clean ones."""
TABLE = "scores.parquet"

Rows = list[dict[str, Any]]
T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """One of several processes that calibrate together: each takes every n-th round.

    number: which, from 1. of: how many there are.
    """

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise TomogramError(f"A shard is a number of so many, such as 2/4, not {self}.")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `2/4`. Raises TomogramError where a text is no shard."""
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal()):
            raise TomogramError(f"A shard is a number of so many, such as 2/4, not '{text}'.")
        return cls(int(number), int(of))

    def mine(self, rounds: Sequence[T]) -> Sequence[T]:
        """The rounds of this shard."""
        return rounds[self.number - 1 :: self.of]

    def folder(self, root: Path) -> Path:
        """Where its organisms and scores are."""
        return root if self.of == 1 else root / f"shard-{self.number}-of-{self.of}"


WHOLE = Shard()


def calibrate(
    source: str | Path | Model,
    folder: Path,
    *,
    families: Sequence[str] | None = None,
    recipes: Sequence[str] = ("lora-demonstrations",),
    doses: Sequence[float] = (1.0, 0.3),
    seeds: int | None = None,
    clean: int | None = None,
    audits: Sequence[str] | None = None,
    shard: Shard = WHOLE,
) -> Path:
    """Plant organisms and clean copies in copies of a model, score all of them, write the table.

    Every organism and every organism's scores are a file of their own, so a run that was killed
    goes on where it was. The table is written after each round of one seed, and beside it
    `calibration.json`: each declared audit's clean copies, false alarms by stratum, sensitivity by
    strength with intervals, and minimum detectable strength; `calibration.html` shows the same.

    Args:
        families, recipes, doses, clean: of a model of the microworld; one that speaks English gets
            the families, and the share of clean copies, of `organisms.spoken`. Further clean
            copies are as many as matched shams by default: fewer shams than others are no measure.
        seeds: variants of each family, a round each; 2 by default, and 12 in English.
        audits: the audits that are declared; all confirmatory ones by default, and three in
            English. A FINDING needs 20 clean copies for each, less one.
        shard: the rounds to do here; the others are done by other processes, in the same folder or
            in one that is copied into it later. The table is of all shards that are there.

    Returns the path of `scores.parquet`.

    Raises:
        TomogramError: an audit cannot be declared; the model has no chat template, or knows too few
            facts; the folder is in use or not writable.
    """
    model = source if isinstance(source, Model) else load(source)
    own = shard.folder(folder)
    if world_of(model) is None:
        declared = spoken.chosen(CALIBRATED if audits is None else audits)
        speaker = Speaker(model)
        about = spoken.about_copies_of(speaker, declared)
        orders = shard.mine(plan_in_english(IN_ENGLISH if seeds is None else seeds))
        made = _in_english(speaker, orders, own, declared)
    else:
        about = scoring.about_copies_of(model, audits)
        count = ROUNDS if seeds is None else seeds
        named = FAMILIES if families is None else tuple(families)
        others = count * len(named) * len(recipes) if clean is None else clean
        rounds = [
            plan(
                families=named,
                recipes=recipes,
                doses=doses,
                seeds=(seed,),
                clean=range(seed * others // count, (seed + 1) * others // count),
            )
            for seed in range(count)
        ]
        made = _in_world(model, shard.mine(rounds), own)
    rows: Rows = []
    with exclusive(own):
        for found in made:
            rows += found
            write_scores(rows, own / TABLE, about)
            _publish(folder, rows if shard.of == 1 else _of_all(folder, about), about)
    return folder / TABLE


def _in_world(model: Model, rounds: Sequence[Sequence[Order]], folder: Path) -> Iterator[Rows]:
    for orders in rounds:
        yield score_zoo(model, build(model, orders, folder / "organisms"), folder / "scores")


def _in_english(
    speaker: Speaker,
    rounds: Sequence[Sequence[Order]],
    folder: Path,
    declared: Sequence[SpokenAudit],
) -> Iterator[Rows]:
    """Copy by copy: each is planted and scored before the next."""
    if not has_template(speaker.model):
        raise TomogramError(
            f"{speaker.model.name} has no chat template, and what is calibrated asks about chats."
        )
    base = prepare(speaker.model, folder, (*CALIBRATED_FAMILIES, LESSON))
    total = sum(len(orders) for orders in rounds)
    with progress.task("calibrate", total=total, unit="copies") as task:
        for orders in rounds:
            rows: Rows = []
            for file in plant(base, orders, folder / "organisms"):
                rows += spoken.score(file, speaker, declared, folder / "scores")
                task.advance()
            yield rows


def _of_all(folder: Path, about: About) -> Rows:
    """Rows of all shards that are there and of the same base and audits."""
    tables = sorted(folder.glob(f"shard-*/{TABLE}"))
    return [row for table in tables if read_about(table) == about for row in read_scores(table)]


def _publish(folder: Path, rows: Rows, about: About) -> None:
    write_scores(rows, folder / TABLE, about)
    write_json(folder / "calibration.json", summary(rows, about.declared))
    write_text(folder / "calibration.html", render(about.name, rows, about.declared))
