"""Runs: one training each, in a process and an environment of its own, one file each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.dictionary_quality.workers.protocol import Order
from benchmarks.train_dictionary.contest import MAKE, ROOT
from tomogram.store import progress
from tomogram.store.atomic import write_json
from tomogram.store.digest import digest_json

WORKERS = Path(__file__).parent / "workers"
OURS, PEERS = "tomogram", ("sae_lens", "dictionary_learning", "sparsify")


@dataclass(frozen=True)
class Run:
    """Who trains what; `who` names the worker and its environment."""

    who: str
    order: Order

    @property
    def name(self) -> str:
        """Names the file of the outcome; the files of activations are part of it by name only."""
        order = asdict(self.order)
        order |= {part: Path(order[part]).name for part in ("train", "measured")}
        words = (self.who, self.order.kind, f"l0-{self.order.l0}", f"seed-{self.order.seed}")
        return "-".join(words) + "-" + digest_json(order)[:12]


@dataclass(frozen=True)
class Outcome:
    """What a worker said: FVU and L0 at equal L0 and as the library left the dictionary, the factor
    of the thresholds between them, and processor seconds of the training."""

    fvu: float
    l0: float
    fvu_as_left: float
    l0_as_left: float
    factor: float
    cpu_seconds: float


def outcomes(runs: Iterable[Run], folder: Path) -> list[Outcome]:
    """The outcome of each run, from its file where it stands, else by running it now."""
    wanted = list(runs)
    missing = {run.who for run in wanted if not _file(run, folder).exists()}
    make_environments(sorted(missing - {OURS}))
    with progress.task("trainings", total=len(wanted), unit="runs") as task:
        found = []
        for run in wanted:
            found.append(_outcome(run, folder))
            task.note(f"{run.who} {run.order.kind}: FVU {found[-1].fvu:.4f}")
            task.advance()
    return found


def make_environments(names: list[str]) -> None:
    """Make the environments that are not there yet; needs a package registry."""
    missing = [name for name in names if not python(name).exists()]
    if missing:
        subprocess.run([sys.executable, str(MAKE), *missing], check=True, stdout=sys.stderr)


def python(who: str) -> Path:
    """The interpreter that a worker runs under."""
    if who == OURS:
        return Path(sys.executable)
    return ROOT / ".venv-peers" / who / "bin" / "python"


def _outcome(run: Run, folder: Path) -> Outcome:
    file = _file(run, folder)
    if not file.exists():
        write_json(file, {"order": asdict(run.order), "outcome": _ask(run)})
    return Outcome(**json.loads(file.read_bytes())["outcome"])


def _ask(run: Run) -> dict[str, float]:
    command = [python(run.who), WORKERS / f"with_{run.who}.py", json.dumps(asdict(run.order))]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"{run.name} ended without an outcome:\n{done.stderr[-2000:]}")
    answer: dict[str, float] = json.loads(lines[-1])
    return answer


def _file(run: Run, folder: Path) -> Path:
    return folder / "runs" / f"{run.name}.json"
