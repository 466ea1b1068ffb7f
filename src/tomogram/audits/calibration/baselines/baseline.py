"""What a baseline is: an audit that is ranked beside the others and never gives a verdict."""

from __future__ import annotations

from collections.abc import Callable

from tomogram.audits.audit import Audit, Measurement
from tomogram.audits.subject import Subject


def baseline(name: str, asks: str, run: Callable[[Subject], Measurement], references: str) -> Audit:
    """One score of a baseline."""
    return Audit(
        f"baseline: {name}",
        asks,
        needs="Nothing.",
        method=asks,
        controls="None.",
        references=references,
        run=run,
        confirmatory=False,
    )
