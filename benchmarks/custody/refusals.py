"""Every way to be refused, and whether each is told clearly and recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.custody.lamps import QUESTIONS, Darkness, Hands, Lamp
from benchmarks.custody.tampering import SMALL
from tomogram.custody import keeping
from tomogram.custody import suite as suites
from tomogram.custody.asking import ask
from tomogram.custody.keys import Key, new_key
from tomogram.custody.ledger import rows
from tomogram.custody.refusal import Refused


def recorded(folder: Path) -> dict[str, bool]:
    """By reason, whether the refusal came for this reason and stands in the ledger."""
    auditor, lab, stranger = (new_key(n, "2026-12-31") for n in ("auditor", "lab", "stranger"))
    both = [auditor, lab]

    def put(
        suite: Path, keys: list[Key], question: str = "darkness", late: bool = False
    ) -> Callable[[], object]:
        clock = Hands()
        if late:
            clock.at = clock.at.replace(year=2027)
        return lambda: ask(suite, question, Lamp(0.3), keys, questions=QUESTIONS, clock=clock)

    def suite(name: str) -> Path:
        path = folder / name
        suites.new(
            path, "lamps", {Darkness(): 0.5}, SMALL, key=auditor, others=[lab.identity],
            clock=Hands(),
        )  # fmt: skip
        return path

    burnt, exhausted = suite("burnt"), suite("exhausted")
    keeping.burn(burnt, "run-1", "treatment", both, folder / "draws.json", clock=Hands())
    for dark in (0.9, 0.95):
        ask(exhausted, "darkness", Lamp(dark), both, questions=QUESTIONS, clock=Hands())
    cases = {
        "wrong key": (path := suite("wrong"), put(path, [auditor, lab, stranger])),
        "missing party": (path := suite("missing"), put(path, [auditor])),
        "expired key": (path := suite("expired"), put(path, both, late=True)),
        "unknown question": (path := suite("unknown"), put(path, both, "brightness")),
        "burnt shard": (burnt, put(burnt, both)),
        "exhausted budget": (exhausted, put(exhausted, both)),
    }
    return {reason: _refused(path, attempt, reason) for reason, (path, attempt) in cases.items()}


def _refused(suite: Path, attempt: Callable[[], object], reason: str) -> bool:
    try:
        attempt()
    except Refused as refused:
        (*_, last) = rows(suites.ledger_path(suite))
        return refused.reason == reason == last.body.get("reason") and last.kind == "refusal"
    return False
