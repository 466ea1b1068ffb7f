"""Plant and score the declared zoo: one command, which goes on where it was.

    python -m benchmarks.audits.zoo DIR                    everything that is declared
    python -m benchmarks.audits.zoo DIR --split develop    one split
    python -m benchmarks.audits.zoo DIR --part lessons     one part
    python -m benchmarks.audits.zoo DIR --base sibling-3   one base; two may run side by side
    python -m benchmarks.audits.zoo DIR --clean            clean copies alone

Organisms (low-rank changes) and their scores stay in DIR. The tables in `scores/`, one for each
part and base, are written again after every round of it.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

from benchmarks.audits.declaration import Declaration, Part, read
from benchmarks.reference import BASES
from tomogram.audits.audit import confirmatory
from tomogram.audits.calibration.scoring import everything, score_zoo, write_scores
from tomogram.models.load import load
from tomogram.organisms.organism import CLEAN
from tomogram.organisms.zoo import build
from tomogram.reference import path
from tomogram.reference.shipped import siblings
from tomogram.store.errors import TomogramError
from tomogram.store.lock import exclusive

TABLES = Path(__file__).parent / "scores"
STRATA = (*CLEAN, "infected")


def folder_of(base: str) -> Path:
    """Where a base is, by the name that the declaration has for it.

    Raises TomogramError for a name that is none.
    """
    known = {"microworld": path(), **{each.name: each for each in siblings(BASES)}}
    if base not in known:
        raise TomogramError(f"There is no base '{base}'; known are {', '.join(known)}.")
    return known[base]


def scored_by(part: Part) -> tuple[str, ...]:
    """What scores the models of a part: the audits that may be declared, and baselines beside."""
    return tuple(everything()) if part.beside_baselines else confirmatory()


def run(
    declaration: Declaration,
    folder: Path,
    tables: Path,
    *,
    split: str | None = None,
    only: str | None = None,
    base: str | None = None,
    strata: Collection[str] = STRATA,
) -> list[dict[str, Any]]:
    """Plant and score what is declared and not there yet; returns the rows of all of it.

    Args:
        folder: gets a folder a base, with organisms and scores.
        tables: gets `PART-BASE.parquet` after every round.
        split, only, base: only this split, the part of this name, this base.
        strata: what is scored of what is planted; a sham needs the steps of an infected model.

    Raises TomogramError where a base is unknown or a folder is in use.
    """
    rows: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for part, name, orders in declaration.rounds(base):
        if split not in (None, part.split) or only not in (None, part.name):
            continue
        with exclusive(folder / name):
            model = load(folder_of(name))
            files = build(model, orders, folder / name / "organisms")
            asked = [f for f, o in zip(files, orders, strict=True) if o.stratum in strata]
            audits = scored_by(part)
            found = score_zoo(model, asked, folder / name / "scores", only=audits)
        here = rows[part.name, name]
        here += [{**row, "base": name, "part": part.name} for row in found]
        tables.mkdir(parents=True, exist_ok=True)
        write_scores(here, tables / f"{part.name}-{name}.parquet")
    return [row for each in rows.values() for row in each]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audits.zoo")
    parser.add_argument("folder", type=Path, help="where organisms and their scores are kept")
    parser.add_argument("--split", choices=("develop", "calibrate", "report"))
    parser.add_argument("--part", help="only this part")
    parser.add_argument("--base", help="only this base")
    parser.add_argument("--clean", action="store_true", help="score clean copies alone")
    options = parser.parse_args()
    rows = run(
        read(),
        options.folder,
        TABLES,
        split=options.split,
        only=options.part,
        base=options.base,
        strata=CLEAN if options.clean else STRATA,
    )
    print(f"{len({(row['base'], row['organism']) for row in rows})} models scored")


if __name__ == "__main__":
    main()
