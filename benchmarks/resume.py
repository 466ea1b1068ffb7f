"""Resume: a scan killed with SIGKILL at random moments ends in the same bytes.

One whole scan of the reference model, then scans that are killed ten times at moments drawn evenly
over the time the whole one took, each time started again; the last is left to finish. The figure is
the share of kills after which the next attempt went on, and whether `tomogram.json` is byte-equal.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Figure, main


def measure(quick: bool) -> dict[str, Figure]:
    """Kill a scan again and again; compare what is left with an undisturbed one."""
    kills = 3 if quick else 10
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        start = time.monotonic()
        subprocess.run(_command(whole), check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - start
        moments, done, attempts = random.Random(0), 0, 0
        while done < kills:
            attempts += 1
            process = subprocess.Popen(_command(killed), stdout=subprocess.DEVNULL)
            try:
                # Even over a whole scan's time at first; what is left to do gets shorter.
                process.wait(moments.uniform(1, seconds / kills * 2))
                subprocess.run(["rm", "-rf", str(killed)], check=True)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                done += 1
        subprocess.run(_command(killed), check=True, stdout=subprocess.DEVNULL)
        equal = (killed / "tomogram.json").read_bytes() == (whole / "tomogram.json").read_bytes()
        hidden = [path.name for path in killed.iterdir() if path.name.startswith(".")]
    return {
        "kills": Figure(done, target=kills),
        "tomogram.json byte-equal": Figure(float(equal), target=1),
        "things left half-written": Figure(len(hidden), target=0, at_least=False),
    }


def _command(out: Path) -> list[str]:
    return [sys.executable, "-m", "tomogram", "scan", "--plan", "quick", "--out", str(out)]


if __name__ == "__main__":
    main("resume", measure)
