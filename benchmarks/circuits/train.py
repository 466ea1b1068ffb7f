"""Train the known circuits that are trained, and write what is shipped of them.

    python -m benchmarks.circuits.train induction modular siit-class-move siit-move-class

writes `NAME.safetensors` (float16) into `src/tomogram/circuits/known/weights/`, or into `--out`.
The same seed gives the same bits on the same kind of machine with the same number of threads. Every
hundred steps there is a checkpoint in `--work`; the same command goes on from it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import cast

import torch
from torch import nn

from benchmarks.circuits.recipes import RECIPES, Recipe
from tomogram.circuits.known.small import WEIGHTS, read_file, untrained, write
from tomogram.models.load import wrap
from tomogram.models.model import Model
from tomogram.store.progress import task

EVERY = 100
WARM_UP = 50


def train(recipe: Recipe, seed: int, work: Path) -> Model:
    """Train by a recipe, or go on from its checkpoint below `work`."""
    model = wrap(untrained(recipe.size, seed), name=recipe.name)
    module = cast(nn.Module, model.module).requires_grad_(True)
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=recipe.decay
    )
    file = work / f"{recipe.name}-{seed}.pt"
    begun = 0
    if file.exists():
        kept = torch.load(file, weights_only=True)
        module.load_state_dict(kept["model"])
        optimiser.load_state_dict(kept["optimiser"])
        begun = int(kept["step"])
    with task(f"train {recipe.name}", total=recipe.steps, done=begun) as progress:
        for step in range(begun, recipe.steps):
            left = (recipe.steps - step) / (0.2 * recipe.steps)
            optimiser.param_groups[0]["lr"] = recipe.rate * min(1.0, (step + 1) / WARM_UP, left)
            loss = recipe.loss(model, torch.Generator().manual_seed((seed << 32) + step))
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            progress.advance()
            progress.note(f"loss {loss.item():.3f}")
            if (step + 1) % EVERY == 0:
                kept = {"model": module.state_dict(), "optimiser": optimiser.state_dict()}
                torch.save(kept | {"step": step + 1}, file.with_suffix(".tmp"))
                file.with_suffix(".tmp").replace(file)
    module.requires_grad_(False)
    return model


def main() -> None:
    """Train, write, read back what was written, and print what it can do."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.circuits.train")
    parser.add_argument("names", nargs="*", default=[], metavar="NAME", help=", ".join(RECIPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--work", type=Path, default=Path("known-circuits.tmp"))
    parser.add_argument("--json", action="store_true", help="print one JSON object a model")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in RECIPES]
    if unknown:
        parser.error(f"there is no recipe '{unknown[0]}'; known are {', '.join(RECIPES)}")
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.names or RECIPES:
        start = time.process_time()
        trained = train(RECIPES[name], options.seed, options.work)
        seconds = time.process_time() - start
        file = options.out / f"{name}.safetensors"
        write(trained.module, RECIPES[name].size, file)
        # What is shipped is what is checked: rounding is part of it.
        found = {
            key: round(v, 4) for key, v in RECIPES[name].check(read_file(file, name=name)).items()
        }
        sha = hashlib.sha256(file.read_bytes()).hexdigest()
        facts = {"name": name, "seed": options.seed, "seconds": round(seconds), "sha256": sha}
        if options.json:
            print(json.dumps(facts | {"check": found}), flush=True)
        else:
            shares = ", ".join(f"{key} {value:.3f}" for key, value in found.items())
            print(
                f"{name}: {shares}; {seconds:.0f} CPU seconds, {file.stat().st_size:,} bytes",
                flush=True,
            )


if __name__ == "__main__":
    main()
