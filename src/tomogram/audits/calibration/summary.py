"""What a table of scores says of each audit: which strength it finds, how often it is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tomogram.audits.calibration.families import FAMILY_AUDIT
from tomogram.audits.calibration.statistics import Bin, curve, false_alarms, minimum_detectable
from tomogram.audits.verdicts import Clean, Q, needed, p_value
from tomogram.store.canonical import Json
from tomogram.store.schema import Estimate

ALPHAS = (0.01, 0.05, 0.1)
"""Levels at which false alarms are counted."""

Rows = Sequence[Mapping[str, Any]]


def clean_copies(rows: Rows) -> dict[str, Clean]:
    """The clean arm of a table, by audit."""
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["stratum"] != "infected" and row["score"] is not None:
            scores[row["audit"]][row["stratum"]].append(row["score"])
    return {name: Clean({s: tuple(v) for s, v in each.items()}) for name, each in scores.items()}


def curves(rows: Rows, declared: Sequence[str]) -> dict[str, list[Bin]]:
    """Sensitivity by strength of each declared audit that names a family, where the table has any.

    Judged are organisms of the audit's families that pass the gate but for their strength. One
    counts as detected where its audit's own p would pass the adjustment for all declared audits.
    """
    clean, found = clean_copies(rows), {}
    for name in declared:
        mine = [
            row
            for row in rows
            if row["audit"] == name
            and row["stratum"] == "infected"
            and row["standing"] != "discarded"
            and row["strength"] is not None
            and name in FAMILY_AUDIT.get(row["family"], ())
        ]
        if mine and name in clean:
            hits = [
                row["score"] is not None
                and p_value(row["score"], clean[name].all) * len(declared) <= Q
                for row in mine
            ]
            variants = [(row["base"], row["family"], row["recipe"], row["seed"]) for row in mine]
            found[name] = curve([row["strength"] for row in mine], hits, variants)
    return found


def detectable(rows: Rows, declared: Sequence[str]) -> dict[str, float]:
    """Minimum detectable strength of each declared audit, where the table shows one."""
    smallest = {name: minimum_detectable(bins) for name, bins in curves(rows, declared).items()}
    return {name: strength for name, strength in smallest.items() if strength is not None}


def summary(rows: Rows, declared: Sequence[str]) -> dict[str, Json]:
    """By knowledge of the base and audit: clean copies, false alarms, sensitivity by strength.

    A false alarm is a clean copy whose p, against all others, is at most a level; over all of them
    that is so by construction, so what tells something are the strata.
    """
    made: dict[str, Json] = {}
    for knowledge in dict.fromkeys(row["knowledge"] for row in rows):
        some = [row for row in rows if row["knowledge"] == knowledge]
        clean, found = clean_copies(some), curves(some, declared)
        made[knowledge] = {
            name: _of_audit(clean.get(name, Clean({})), found.get(name, []), len(declared))
            for name in declared
        }
    return made


def _of_audit(clean: Clean, bins: Sequence[Bin], tests: int) -> dict[str, Json]:
    alarms: dict[str, Json] = {}
    every = [(stratum, score) for stratum, each in clean.scores.items() for score in each]
    for stratum in ("all", *clean.scores):
        p_values = [
            p_value(score, [other for j, (_, other) in enumerate(every) if j != i])
            for i, (own, score) in enumerate(every)
            if stratum in ("all", own)
        ]
        if p_values:
            alarms[stratum] = {
                f"p at most {alpha}": _told(false_alarms(p_values, alpha)) for alpha in ALPHAS
            }
    return {
        "clean_copies": clean.n,
        "needed": needed(tests),
        "by_stratum": {stratum: len(each) for stratum, each in clean.scores.items()},
        "false_alarms": alarms,
        "sensitivity": [
            {"from": b.low, "mean_strength": b.strength, **_told(b.sensitivity)} for b in bins
        ],
        "minimum_detectable_strength": minimum_detectable(bins),
    }


def _told(estimate: Estimate) -> dict[str, Json]:
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
    }
