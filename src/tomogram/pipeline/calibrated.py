"""Which clean copies a model is held against: those of a given table, or of the shipped one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tomogram.audits.calibration.about import read_about
from tomogram.audits.calibration.scoring import read_scores
from tomogram.audits.calibration.shipped import Calibration, shipped
from tomogram.models.files import read_json
from tomogram.models.model import Model
from tomogram.reference.shipped import path as reference
from tomogram.store.errors import TomogramError

SHAPE = ("num_hidden_layers", "hidden_size", "vocab_size", "microworld")
"""Entries of the configuration that every copy of the reference model shares with it."""


@dataclass(frozen=True)
class Against:
    """Scores of copies of the patient's base, with the base at hand or without it.

    declared: the audits that were declared before these copies were scored. none_because: why there
    are no rows, where there are none.
    """

    rows: tuple[Mapping[str, Any], ...]
    declared: tuple[str, ...]
    none_because: str = ""


def against(
    model: Model,
    trusted: Model | None,
    calibration: Path | None,
    base_name: str | None,
    *,
    instrument: str,
    declared: Sequence[str],
) -> Against:
    """The copies that a model's scores are held against.

    Args:
        model: the patient. trusted: its base, where it is at hand.
        calibration: a table of scores; without one the shipped one, if the patient is the reference
            model, or `trusted` is, or `base_name` is its name and the patient has its shape.
        base_name: whose copies of the table are meant.
        instrument: the audits that are run, and their version.
        declared: what counts where a table does not say what was declared.

    Raises:
        TomogramError: the table cannot be read, was scored by other audits, has copies of another
            base than `trusted`, or of several of which none was named.
    """
    if calibration is not None:
        found = _given(calibration, trusted, base_name, instrument, tuple(declared))
    else:
        found = _shipped(model, trusted, base_name, instrument, tuple(declared))
    knowledge = "without base" if trusted is None else "with base"
    rows = tuple(row for row in found.rows if row["knowledge"] == knowledge)
    return Against(rows, found.declared, found.none_because)


def of_base(rows: Sequence[Mapping[str, Any]], name: str | None) -> list[Mapping[str, Any]]:
    """Rows of one base. Raises TomogramError where the table has none, or several and no name."""
    bases = sorted({row["base"] for row in rows})
    if not bases:
        return []
    if name is None and len(bases) > 1:
        raise TomogramError(f"The calibration holds several bases: {', '.join(bases)}; name one.")
    chosen = bases[0] if name is None else name
    if chosen not in bases:
        raise TomogramError(f"The calibration has no copies of '{chosen}', only of {bases}.")
    return [row for row in rows if row["base"] == chosen]


def _given(
    calibration: Path,
    trusted: Model | None,
    base_name: str | None,
    instrument: str,
    declared: tuple[str, ...],
) -> Against:
    table, about = read_scores(calibration), read_about(calibration)
    if about is None:
        named = base_name or (None if trusted is None else trusted.name)
        return Against(tuple(of_base(table, named)), declared)
    if about.instrument != instrument:
        raise TomogramError(
            f"{calibration} was scored by the audits '{about.instrument}', and these are"
            f" '{instrument}'; calibrate again."
        )
    if trusted is not None and trusted.digest != about.base:
        raise TomogramError(f"{calibration} has copies of {about.name}, not of {trusted.name}.")
    return Against(tuple(of_base(table, base_name)), about.declared)


def _shipped(
    model: Model,
    trusted: Model | None,
    base_name: str | None,
    instrument: str,
    declared: tuple[str, ...],
) -> Against:
    kept = shipped()
    if kept is None:
        return Against((), declared, "this installation has no calibration")
    if kept.about.instrument != instrument:
        return Against((), declared, "no calibration of models like this one is shipped")
    why = _no_copy(model, trusted, base_name, kept)
    if why:
        return Against((), declared, why)
    return Against(kept.rows, kept.about.declared)


def _no_copy(model: Model, trusted: Model | None, base_name: str | None, kept: Calibration) -> str:
    """Why a model is not known to be a copy of the reference model; empty where it is."""
    if (model if trusted is None else trusted).digest == kept.about.base:
        return ""
    if base_name is not None and base_name != kept.about.name:
        return f"the shipped calibration is of {kept.about.name}, not of {base_name}"
    if base_name is not None and trusted is None:
        return "" if _shape(model) == _reference_shape() else "it has another shape than its base"
    whose = "its base" if trusted is not None else "this"
    return f"the shipped calibration is of copies of {kept.about.name}, and {whose} is none"


def _shape(model: Model) -> dict[str, Any]:
    return {name: getattr(model.module.config, name, None) for name in SHAPE}


def _reference_shape() -> dict[str, Any]:
    stated = read_json(reference() / "config.json") or {}
    return {name: stated.get(name) for name in SHAPE}
