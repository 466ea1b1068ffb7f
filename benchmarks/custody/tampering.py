"""Honest suites that must pass, and altered ones that must not."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.custody.alterations import DESIGNED, REPORT, roll_the_budget_back
from benchmarks.custody.lamps import QUESTIONS, Darkness, Hands, Lamp
from tomogram.custody import suite as suites
from tomogram.custody.anchor import Anchor, anchor
from tomogram.custody.asking import ask
from tomogram.custody.budget import Terms
from tomogram.custody.keys import Key, new_key
from tomogram.custody.ledger import Ledger
from tomogram.custody.statement import sign_folder, use_of, verify_folder, verify_use
from tomogram.custody.verify import Outcome, verify_suite

Change = Callable[[Path], None]

SMALL = Terms(clusters=30, width=0.5, delta=0.05, alarms=2, noise=0.05)


class Case:
    """A used suite, a signed report about it, and the anchor somebody else kept."""

    def __init__(self, folder: Path, key: Key) -> None:
        self.folder, self.key, clock = folder, key, Hands()
        self.suite, self.report = folder / "suite", folder / "report"
        suites.new(self.suite, "lamps", {Darkness(): 0.5}, SMALL, key=key, clock=clock)
        for dark in (0.1, 0.2, 0.9):
            ask(self.suite, "darkness", Lamp(dark), [key], questions=QUESTIONS, clock=clock)
        Ledger(suites.ledger_path(self.suite), clock=clock).append("note", {"run": "one"})
        self.anchor: Anchor = anchor(self.suite, folder / "anchor.json", clock=clock)
        self.report.mkdir()
        (self.report / "tomogram.json").write_text('{"features": 12}\n')
        (self.report / "report.html").write_text("<p>Twelve features.</p>\n" * 20)
        sign_folder(self.report, [use_of(self.suite)], key)

    def whole(self) -> bool:
        """Whether every check of both folders is reproduced."""
        checks = verify_suite(self.suite, anchor=self.anchor, identities=[self.key.identity])
        checks += verify_folder(self.report, [self.key.identity])
        checks.append(verify_use(self.report, self.suite))
        return all(check.outcome is Outcome.REPRODUCED for check in checks)

    def files(self) -> list[Path]:
        """All files of the suite and the report; the anchor lies elsewhere."""
        return sorted(
            path for top in (self.suite, self.report) for path in top.rglob("*") if path.is_file()
        )


def honest_accepted(folder: Path, n: int) -> int:
    """Of n honest suites with their reports, how many are accepted whole."""
    accepted = 0
    for i in range(n):
        case = Case(folder / f"honest-{i}", new_key("auditor", "2027-12-31"))
        accepted += case.whole()
        shutil.rmtree(case.folder)
    return accepted


def random_detected(folder: Path, n: int, seed: int = 0) -> int:
    """Of n random alterations of one file, how many are detected."""
    case, chance = Case(folder / "random", new_key("auditor", "2027-12-31")), random.Random(seed)
    files, detected = case.files(), 0
    for _ in range(n):
        path = chance.choice(files)
        before = path.read_bytes()
        after = chance.choice(CHANGES)(before, chance)
        while after == before:
            after = flipped(before, chance)
        path.write_bytes(after)
        detected += not case.whole()
        path.write_bytes(before)
    return detected


def designed_detected(folder: Path) -> tuple[int, int]:
    """How many designed alterations are detected, and of how many."""
    case = Case(folder / "designed", new_key("auditor", "2027-12-31"))
    kept = folder / "saved"
    saved = {part: shutil.copytree(part, kept / part.name) for part in (case.suite, case.report)}
    on_suite: list[tuple[Path, Change]] = [(case.suite, alter) for alter in DESIGNED]
    on_report = [(case.report, _by(alter, case.key)) for alter in REPORT]
    alterations = on_suite + on_report
    detected = 0
    for part, alter in alterations:
        alter(part)
        detected += not case.whole()
        shutil.rmtree(part)
        shutil.copytree(saved[part], part)
    return detected, len(alterations)


def _by(alter: Callable[[Path, Key], None], key: Key) -> Change:
    return lambda folder: alter(folder, key)


def rollback_unanchored(folder: Path) -> bool:
    """Whether a ledger rolled back without an anchor is neither accepted nor called altered.

    Its completeness then could not be checked, and verification says so.
    """
    case = Case(folder / "unanchored", new_key("auditor", "2027-12-31"))
    roll_the_budget_back(case.suite)
    found = {check.name: check.outcome for check in verify_suite(case.suite)}
    return found["completeness"] is Outcome.UNCHECKED and Outcome.DIFFERS not in found.values()


def flipped(data: bytes, chance: random.Random) -> bytes:
    """One bit turned."""
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def cut(data: bytes, chance: random.Random) -> bytes:
    """The end missing."""
    return data[: chance.randrange(len(data))]


def inserted(data: bytes, chance: random.Random) -> bytes:
    """A few bytes more, somewhere."""
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.randbytes(chance.randint(1, 8)) + data[place:]


def without_a_line(data: bytes, chance: random.Random) -> bytes:
    """A line dropped."""
    lines = data.splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    return b"".join(lines)


def with_lines_swapped(data: bytes, chance: random.Random) -> bytes:
    """Two lines exchanged."""
    lines = data.splitlines(keepends=True)
    one, two = (chance.randrange(len(lines)) for _ in range(2))
    lines[one], lines[two] = lines[two], lines[one]
    return b"".join(lines)


def with_a_line_again(data: bytes, chance: random.Random) -> bytes:
    """A line replayed."""
    lines = data.splitlines(keepends=True)
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    return b"".join(lines)


CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flipped,
    cut,
    inserted,
    without_a_line,
    with_lines_swapped,
    with_a_line_again,
)
