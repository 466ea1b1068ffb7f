"""Writers that are killed again and again while they ask."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks.custody.lamps import Darkness, Lamp
from tomogram.custody import suite as suites
from tomogram.custody.asking import ask
from tomogram.custody.budget import Terms
from tomogram.custody.keys import Key, new_key
from tomogram.custody.ledger import rows
from tomogram.custody.verify import accepted, verify_suite
from tomogram.store.canonical import Json

WIDE = Terms(clusters=1500, width=0.99, delta=0.05, alarms=4000, noise=0.05)
"""Room for thousands of asks, and for as many that a kill left open (each counts as an alarm)."""


@dataclass(frozen=True)
class Damage:
    """What went wrong: rows lost or doubled, models measured but not charged, ledgers refused."""

    lost: int
    doubled: int
    uncharged: int
    refused: int
    rows: int


class Told(Darkness):
    """Writes down whom it measures before it does."""

    def __init__(self, diary: Path) -> None:
        self.diary = diary

    def measure(self, model: Lamp, draws: Sequence[Json]) -> list[float | None]:
        with self.diary.open("a") as file:
            file.write(f"{model.digest}\n")
        return super().measure(model, draws)


def killed(folder: Path, kills: int, writers: int, seed: int = 0) -> Damage:
    """Let writers ask a suite, kill one after another, and look what is left."""
    key, chance = new_key("auditor", "2099-12-31"), random.Random(seed)
    suites.new(folder / "suite", "lamps", {Darkness(): 0.5}, WIDE, key=key)
    (folder / "said").mkdir()
    (folder / "measured").mkdir()
    context = multiprocessing.get_context("fork")

    def started(writer: int) -> BaseProcess:
        process = context.Process(target=_ask_on, args=(folder, writer, key))
        process.start()
        return process

    running = [started(writer) for writer in range(writers)]
    for _ in range(kills):
        time.sleep(chance.uniform(0.02, 0.15))
        writer = chance.randrange(writers)
        running[writer].kill()  # SIGKILL
        running[writer].join()
        running[writer] = started(writer)
    for process in running:
        process.kill()
        process.join()
    return _damage(folder)


def _ask_on(folder: Path, writer: int, key: Key) -> None:
    """Ask about one lamp after another, from where the killed one stopped; note each answer."""
    question = Told(folder / "measured" / str(writer))
    path = folder / "said" / str(writer)
    path.touch()
    begun = len(path.read_text().splitlines())
    with path.open("a", buffering=1) as said:
        for i in range(max(0, begun - 1), 10_000):
            lamp = Lamp(0.01 + writer * 1e-4 + i * 1e-8)
            ask(folder / "suite", "darkness", lamp, [key], questions={"darkness": question})
            said.write(f"{lamp.digest}\n")


def _damage(folder: Path) -> Damage:
    charged: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    n = 0
    for row in rows(folder / "suite" / "ledger.jsonl"):
        n += 1
        if row.kind in ("ask", "answer"):
            (charged if row.kind == "ask" else answered)[str(row.body["model"])] += 1
    said = _lines(folder / "said")
    return Damage(
        lost=sum(model not in answered or model not in charged for model in said),
        doubled=sum(n > 1 for n in (*charged.values(), *answered.values())),
        uncharged=sum(model not in charged for model in _lines(folder / "measured")),
        refused=int(not accepted(verify_suite(folder / "suite"))),
        rows=n,
    )


def _lines(folder: Path) -> list[str]:
    """Whole lines of all files; a kill may have cut the last one."""
    return [
        line
        for path in folder.iterdir()
        for line in path.read_text().splitlines()
        if len(line) == 64
    ]
