"""The page of a calibration: what audits say of copies whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tomogram.audits.calibration.families import FAMILY_AUDIT
from tomogram.audits.calibration.statistics import minimum_detectable
from tomogram.audits.calibration.summary import clean_copies, curves
from tomogram.audits.verdicts import Clean, alarm_above, needed
from tomogram.report.charts.clean_and_planted import clean_and_planted
from tomogram.report.charts.picture import Picture
from tomogram.report.charts.sensitivity_curve import sensitivity_curve
from tomogram.report.rendering import asset, content_security_policy, environment

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Chapter:
    """All audits with one knowledge of the base.

    short: audits with fewer clean copies than a FINDING needs.
    """

    knowledge: str
    short: tuple[str, ...]
    pictures: tuple[Picture, ...]


def render(model: str, rows: Rows, declared: Sequence[str]) -> str:
    """The page as HTML text, of the rows of a table of scores.

    Args:
        model: its name. declared: the audits that count, in the order in which they are shown.
    """
    style = asset("style.css")
    strata = {row["organism"]: row["stratum"] for row in rows}
    planted = sum(stratum == "infected" for stratum in strata.values())
    return environment().get_template("calibration.html.j2").render(
        model=model,
        style=Markup(style),
        policy=content_security_policy(style),
        planted=planted,
        clean=len(strata) - planted,
        needed=needed(len(declared)),
        declared=declared,
        chapters=chapters(rows, declared),
    )  # fmt: skip


def chapters(rows: Rows, declared: Sequence[str]) -> list[Chapter]:
    """The pictures of every declared audit that scored a copy, by knowledge of the base."""
    made = []
    for knowledge in dict.fromkeys(row["knowledge"] for row in rows):
        some = [row for row in rows if row["knowledge"] == knowledge]
        clean, found = clean_copies(some), curves(some, declared)
        pictures: list[Picture] = []
        for name in declared:
            own = clean.get(name, Clean({}))
            planted, discarded = _planted(some, name)
            if own.n or planted or discarded:
                alarm = alarm_above(own.all, len(declared))
                pictures.append(clean_and_planted(name, own.scores, planted, discarded, alarm))
            if bins := found.get(name):
                pictures.append(sensitivity_curve(name, bins, minimum_detectable(bins)))
        short = [n for n in declared if clean.get(n, Clean({})).n < needed(len(declared))]
        made.append(Chapter(knowledge, tuple(short), tuple(pictures)))
    return made


def _planted(rows: Rows, audit: str) -> tuple[list[float], list[float]]:
    """Scores of the planted copies of the families that an audit names: sound ones, discarded."""
    own = [
        row
        for row in rows
        if row["audit"] == audit
        and row["stratum"] == "infected"
        and row["score"] is not None
        and audit in FAMILY_AUDIT.get(row["family"], ())
    ]
    sound, discarded = (
        [row["score"] for row in own if (row["standing"] == "discarded") == out]
        for out in (False, True)
    )
    return sound, discarded
