"""The activations that every contestant trains on and is measured on, harvested once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tomogram.activations.stream import stream
from tomogram.models.load import load
from tomogram.models.sites import Site
from tomogram.pipeline.given import given_text
from tomogram.store import progress
from tomogram.store.atomic import writing
from tomogram.text.packing import PackedText, split

ROOT = Path(__file__).parents[2]
MODEL, TEXT = ROOT / "../shared/models/stories15M", ROOT / "../shared/text/stories.txt"
SITE = Site("resid_post", 3)
CONTEXT, BATCH_ROWS, TOKENS = 256, 16, 400_000
PARTS = {"train": 0.9, "development": 0.05, "held_out": 0.05}
"""Shares of the text's rows. Our own settings are chosen on the second part, and figures are taken
on the third."""


def harvest(folder: Path) -> None:
    """Writes `PART.npy` [tokens width] in float32 for each part that is not there yet.

    The tokens of the training part are shuffled, so that any run of them is a sample of the text.
    """
    if all((folder / f"{part}.npy").exists() for part in PARTS):
        return
    folder.mkdir(parents=True, exist_ok=True)
    model = load(MODEL)
    text = given_text(TEXT, model, context=CONTEXT, tokens=TOKENS)
    with progress.task("activations", total=text.n_tokens, unit="tokens") as task:
        for part, some in zip(PARTS, split(text, list(PARTS.values()), 0), strict=True):
            values = _values(model, some, task)
            if part == "train":
                values = values[torch.randperm(len(values), generator=_generator())]
            with (
                writing(folder / f"{part}.npy") as temporary,
                temporary.open("wb") as file,
            ):
                np.save(file, values.numpy())


def _values(model, text: PackedText, task) -> torch.Tensor:  # type: ignore[no-untyped-def]
    parts = []
    for batch in stream(model, text, [SITE], batch_rows=BATCH_ROWS):
        parts.append(batch[SITE].clone())
        task.advance(len(parts[-1]))
    return torch.cat(parts)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
