"""Scan: how long whole scans take, in how much memory, and how good their dictionaries are.

Each scan runs as a user's would, by the command in a process of its own. The time is wall time of
the whole command, importing and loading included.

    python -m benchmarks.scan --json                        the reference model
    python -m benchmarks.scan stories15M --json             ../shared/models/stories15M
    python -m benchmarks.scan gguf FILE --json              a GGUF file, quick plan
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import Figure, figure, main
from tomogram.report.tomogram import open_tomogram
from tomogram.store.schema import Manifest

SHARED = Path(__file__).parents[2] / "shared"
GIB = 2**30


def run(arguments: list[str]) -> tuple[Manifest, float, float]:
    """One scan by the command: its manifest, wall seconds and the peak of its memory in GiB."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "scan"
        command = [sys.executable, "-m", "tomogram", "scan", *arguments, "--out", str(out)]
        start = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - start
        # The largest of all child processes so far: the scan is the only one.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / GIB
        return open_tomogram(out).manifest, seconds, peak


def quality(manifest: Manifest) -> dict[str, Figure]:
    """Rise in loss and loss recovered of the residual dictionaries, alone and all at once."""
    residual = [d.quality for d in manifest.dictionaries if d.shape == "autoencoder"]
    together = {s.family: s for s in manifest.coverage.spliced}
    figures = {
        "L0, largest": Figure(max(q.l0 for q in residual)),
        "rise per layer, mean nats": Figure(float(np.mean([q.rise.value for q in residual]))),
        "loss recovered, mean": Figure(float(np.mean([q.recovered.value for q in residual]))),
    }
    for family, spliced in together.items():
        figures[f"rise, all {family} at once, nats"] = figure(spliced.rise)
    return figures


def reference(quick: bool) -> dict[str, Figure]:
    """The embedded model: at most 5 minutes and 4 GiB."""
    manifest, seconds, peak = run(["--plan", "quick"] if quick else [])
    return {
        "seconds": Figure(seconds, target=300, at_least=False),
        "peak GiB": Figure(peak, target=4, at_least=False),
        **quality(manifest),
    }


def stories(quick: bool) -> dict[str, Figure]:
    """stories15M: at most 15 minutes, 0.35 nats a layer, 0.96 of the loss recovered."""
    model, text = SHARED / "models/stories15M", SHARED / "text/stories.txt"
    manifest, seconds, peak = run(
        [str(model), "--text", str(text), *(["--plan", "quick"] if quick else [])]
    )
    figures = quality(manifest)
    rise, recovered = figures["rise per layer, mean nats"], figures["loss recovered, mean"]
    return {
        "seconds": Figure(seconds, target=900, at_least=False),
        "peak GiB": Figure(peak),
        **figures,
        "L0, largest": Figure(figures["L0, largest"].value, target=32, at_least=False),
        "rise per layer, mean nats": Figure(rise.value, target=0.35, at_least=False),
        "loss recovered, mean": Figure(recovered.value, target=0.96),
    }


def gguf(file: str, text: Path) -> dict[str, Figure]:
    """A GGUF file with the quick plan: at most 20 minutes and 8 GiB."""
    manifest, seconds, peak = run([file, "--text", str(text), "--plan", "quick"])
    return {
        "seconds": Figure(seconds, target=1200, at_least=False),
        "peak GiB": Figure(peak, target=8, at_least=False),
        "layers": Figure(len({d.layer for d in manifest.dictionaries}), target=4),
        "expansion": Figure(
            min(d.d_dict / manifest.model.d_model for d in manifest.dictionaries), target=4
        ),
        "tokens": Figure(manifest.dictionaries[0].trained_tokens, target=200_000),
        **quality(manifest),
    }


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    sys.argv[1:] = [word for word in sys.argv[1:] if word.startswith("-")]
    if words[:1] == ["stories15M"]:
        main("scan stories15M", stories)
    elif words[:1] == ["gguf"] and len(words) == 2:
        main("scan gguf", lambda quick: gguf(words[1], SHARED / "text/wikitext2-valid.txt"))
    else:
        main("scan", reference)
