"""A ledger's head, kept elsewhere: the only thing that shows a cut tail or an old copy."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from tomogram.custody.asking import state
from tomogram.custody.clock import Clock, utc_now
from tomogram.custody.ledger import Ledger
from tomogram.custody.suite import ledger_path, load
from tomogram.store.atomic import write_json
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Digest, Record


class Anchor(Record):
    """A ledger's head at some moment, to be kept elsewhere. `start` names the ledger itself."""

    start: Digest
    rows: int
    head: Digest
    time: str


def anchor(folder: Path, out: Path, *, clock: Clock = utc_now) -> Anchor:
    """Write the head of a suite's ledger to a file that belongs somewhere else.

    Raises TomogramError where the ledger is damaged or `out` cannot be written.
    """
    suite = load(folder)
    with Ledger(ledger_path(folder), clock=clock).held() as held:
        history = state(folder, suite, held)
        start = next(held.rows()).digest
    made = Anchor(start=start, rows=history.rows, head=history.head, time=history.time)
    write_json(out, made.model_dump())
    return made


def read_anchor(path: Path) -> Anchor:
    """Read what `anchor` wrote. Raises TomogramError where it is missing or something else."""
    try:
        return Anchor.model_validate_json(path.read_bytes())
    except (OSError, ValidationError, ValueError) as error:
        raise TomogramError(f"{path} is no anchor of a ledger.") from error
