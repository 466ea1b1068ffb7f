"""Write the calibration that is shipped: the reference model's copies of the split `calibrate`.

    python -m benchmarks.audits.zoo DIR --part strengths              plants and scores them
    python -m benchmarks.audits.zoo DIR --part calibration-lessons
    python -m benchmarks.audits.zoo DIR --part calibration --clean
    python -m benchmarks.audits.shipped                               writes it into the package

Benchmarks' figures are about the split `report`, whose models are never in what is shipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.audits.declaration import Declaration, read
from benchmarks.audits.zoo import TABLES, folder_of
from tomogram.audits.audit import confirmatory
from tomogram.audits.calibration.scoring import about_copies_of, read_scores, write_scores
from tomogram.audits.calibration.shipped import TABLE
from tomogram.audits.verdicts import SHAM_SHARE, needed
from tomogram.models.load import load
from tomogram.store.errors import TomogramError

BASE = "microworld"
LEFT_OUT = {"says": "", "answer": "{}", "seconds": 0.0}
"""What nobody is judged by, and takes most of the room."""


def chosen(rows: Sequence[Mapping[str, Any]], declaration: Declaration) -> list[dict[str, Any]]:
    """The rows that may be shipped: declared audits on copies of the split `calibrate`.

    Raises TomogramError where a table has a model that was not declared for its part.
    """
    declared: dict[str, set[str]] = {}
    for part, base, orders in declaration.rounds(BASE):
        if part.split == "calibrate" and base == BASE:
            declared.setdefault(part.name, set()).update(order.name for order in orders)
    found, audits = [], confirmatory()
    for row in rows:
        if row["part"] not in declared or row["base"] != BASE:
            continue
        if row["organism"] not in declared[row["part"]]:
            raise TomogramError(f"{row['organism']} was never declared in '{row['part']}'.")
        if row["audit"] in audits:
            found.append({**row, **LEFT_OUT})
    return without_spare_shams(found)


def without_spare_shams(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without the last shams, so that shams are half of the clean copies.

    A sham hardly moves. Among more of them a lesson or a quirk, which does, is an alarm more often
    than the level says.
    """
    strata = {row["organism"]: row["stratum"] for row in rows}
    shams = [name for name, stratum in strata.items() if stratum == "sham"]
    others = sum(stratum not in ("sham", "infected") for stratum in strata.values())
    spare = set(shams[others:])
    return [row for row in rows if row["organism"] not in spare]


def write(tables: Path = TABLES, out: Path = TABLE) -> Counter[str]:
    """Write the table; returns how many models of each stratum it has.

    Raises TomogramError where fewer than half of the clean copies are matched shams.
    """
    rows = chosen([r for t in sorted(tables.glob("*.parquet")) for r in read_scores(t)], read())
    models = {row["organism"]: row["stratum"] for row in rows}
    strata = Counter(models.values())
    clean = len(models) - strata["infected"]
    if strata["sham"] < SHAM_SHARE * clean:
        raise TomogramError(f"Of {clean} clean copies only {strata['sham']} are matched shams.")
    out.parent.mkdir(exist_ok=True)
    about = replace(about_copies_of(load(folder_of(BASE))), name=BASE)
    write_scores(rows, out, about)
    return strata


if __name__ == "__main__":
    made = write()
    for stratum, n in sorted(made.items()):
        print(f"{stratum:10} {n:5}")
    clean = made.total() - made["infected"]
    print(f"{clean} clean copies of {needed(len(confirmatory()))} that all declared audits need")
