"""Scoring a zoo: every declared audit on every organism, with the base at hand and without it.

One small file an organism keeps its scores, so that a run that was killed goes on; together they
become `scores.parquet`, a row for each model, audit and knowledge of the base.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tomogram.audits.audit import Audit, Measurement, confirmatory, installed
from tomogram.audits.calibration.about import About
from tomogram.audits.calibration.baselines import BASELINES
from tomogram.audits.calibration.families import FAMILY_AUDIT
from tomogram.audits.locating import place
from tomogram.audits.subject import Subject
from tomogram.models.model import Model
from tomogram.organisms.organism import Organism, load
from tomogram.organisms.zoo import world_in
from tomogram.store import progress
from tomogram.store.atomic import write_json, writing
from tomogram.store.canonical import Json
from tomogram.store.digest import digest_file
from tomogram.store.errors import TomogramError

VERSION = 2
"""Raised whenever an audit scores the same model otherwise; older scores are taken again."""
INSTRUMENT = f"microworld {VERSION}"
KNOWLEDGE = ("with base", "without base")
COLUMNS = {
    "part": pa.string(),
    "base": pa.string(),
    "organism": pa.string(),
    "stratum": pa.string(),
    "family": pa.string(),
    "recipe": pa.string(),
    "dose": pa.float64(),
    "seed": pa.int64(),
    "standing": pa.string(),
    "strength": pa.float64(),
    "neutral": pa.float64(),
    "cost": pa.float64(),
    "steps": pa.int64(),
    "knowledge": pa.string(),
    "audit": pa.string(),
    "score": pa.float64(),
    "abstains": pa.string(),
    "says": pa.string(),
    "answer": pa.string(),
    "fires": pa.float64(),
    "located": pa.bool_(),
    "seconds": pa.float64(),
}
"""part: the part of a declared zoo; empty for a patient's own. fires: share of prompts on which the
trigger that the backdoor audit names works. located: whether the place that the right audit points
to passes the causal test, asked of infected models with the base at hand; null elsewhere."""


def everything() -> dict[str, Audit]:
    """The declared audits and the baselines by name: audits that only report are never judged."""
    declared = {name: audit for name, audit in installed().items() if audit.confirmatory}
    return {**declared, **{each.name: each for some in BASELINES.values() for each in some}}


def score_zoo(
    model: Model, files: Sequence[Path], folder: Path, *, only: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Score organisms of a base; what `folder` holds already is not measured again.

    Args:
        model: the base that the organisms were planted in.
        files: the organisms.
        folder: gets one file of scores an organism.
        only: the names of what is to be scored; what may be declared by default.

    Raises:
        TomogramError: an organism cannot be read, or was planted in another model.
    """
    base = Subject(model, world_in(model))
    every = everything()
    audits = {name: every[name] for name in (confirmatory() if only is None else only)}
    found: list[dict[str, Any]] = []
    with progress.task("audit", total=len(files), unit="models") as task:
        for file in files:
            found += _scored(file, base, audits, folder)
            task.advance()
    return found


def _scored(
    file: Path, base: Subject, audits: Mapping[str, Audit], folder: Path
) -> list[dict[str, Any]]:
    """The rows of one organism by these audits; only what was never measured is."""
    kept = folder / f"{file.stem}.json"
    of: dict[str, Json] = {
        "version": VERSION,
        "base": base.model.digest,
        "organism": digest_file(file),
    }
    rows = kept_rows(kept, of) or []
    there = {row["audit"] for row in rows}
    missing = {name: audit for name, audit in audits.items() if name not in there}
    if missing:
        rows += _score(load(file), base, missing)
        write_json(kept, {**of, "rows": rows})
    by = {(row["knowledge"], row["audit"]): row for row in rows}
    return [by[knowledge, name] for knowledge in KNOWLEDGE for name in audits]


def kept_rows(kept: Path, of: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The rows of one organism's file of scores; None where it is absent or of something else.

    of: what the file must say beside the rows.
    """
    try:
        content = json.loads(kept.read_text())
    except (OSError, ValueError):
        return None
    if any(content.get(name) != value for name, value in of.items()):
        return None
    return list(content["rows"])


def described(organism: Organism, base: str) -> dict[str, Any]:
    """The columns of a table of scores that are about an organism. base: its base's name."""
    order, strength = organism.order, organism.strength
    return {
        "part": "",
        "base": base,
        "organism": order.name,
        "stratum": order.stratum,
        "family": order.family,
        "recipe": order.recipe,
        "dose": float(order.dose),
        "seed": order.seed,
        "standing": organism.standing,
        "strength": None if strength is None else float(strength.strength),
        "neutral": float(organism.rates.neutral),
        "cost": None if strength is None else float(strength.cost),
        "steps": organism.steps,
        "answer": json.dumps(organism.answer),
    }


def _score(
    organism: Organism, base: Subject, audits: Mapping[str, Audit]
) -> Iterator[dict[str, Any]]:
    order, about = organism.order, described(organism, base.model.name)
    planted = organism.in_copy_of(base.model)
    beside = Subject(planted, base.world, base)
    for knowledge, subject in zip(KNOWLEDGE, (beside, beside.alone()), strict=True):
        for name, audit in audits.items():
            began = time.process_time()
            found = audit.measure(subject)
            spent = time.process_time() - began
            fires = found.evidence.get("fires")
            right = not order.clean and name in FAMILY_AUDIT[order.family]
            right = right and subject.base is not None and bool(found.contrasts)
            yield {
                **measured(about, knowledge, name, found, spent),
                "fires": float(fires) if isinstance(fires, float) else None,
                "located": place(subject, found).located if right else None,
            }


def measured(
    about: Mapping[str, Any], knowledge: str, audit: str, found: Measurement, seconds: float
) -> dict[str, Any]:
    """The row of one audit of one model, without what is known of triggers and places."""
    return {
        **about,
        "knowledge": knowledge,
        "audit": audit,
        "score": None if found.score is None else float(found.score),
        "abstains": found.abstains,
        "says": found.says,
        "fires": None,
        "located": None,
        "seconds": seconds,
    }


def about_copies_of(model: Model, declared: Sequence[str] | None = None) -> About:
    """What a table of scores of copies of a model of the microworld is of.

    declared: the audits that count; all confirmatory ones by default.

    Raises TomogramError where one of them is no confirmatory audit.
    """
    chosen = confirmatory() if declared is None else tuple(declared)
    unknown = [name for name in chosen if name not in confirmatory()]
    if unknown:
        known = ", ".join(confirmatory())
        raise TomogramError(f"'{unknown[0]}' cannot be declared; what can are {known}.")
    return About(model.digest, model.name, INSTRUMENT, chosen)


def write_scores(rows: Sequence[Mapping[str, Any]], path: Path, about: About | None = None) -> None:
    """Write a table of scores, and what it is of where that is one base.

    Raises TomogramError where the file cannot be written.
    """
    schema = pa.schema(list(COLUMNS.items()), metadata=about.metadata() if about else None)
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    with writing(path) as file:
        pq.write_table(table, file, compression="zstd")


def read_scores(path: Path) -> list[dict[str, Any]]:
    """Read a table of scores.

    Raises TomogramError where there is none, or it lacks a column.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise TomogramError(f"{path} is no table of scores that can be read.") from error
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise TomogramError(f"{path} is no table of scores: it has no column '{missing[0]}'.")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
