"""Training by kind and shape on activations that are harvested once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from benchmarks.concept_kinds.cases import Case
from tomogram.activations.stream import stream
from tomogram.dictionaries import trainer
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.plan import PLANS, fitted
from tomogram.store import progress
from tomogram.store.atomic import writing
from tomogram.text.microworld.generate import generate
from tomogram.text.microworld.world import World

SEED, TRAIN_STREAM = 0, 1
"""The scan's own seed and stream of the generator."""
TOKENS_AT_ONCE = 8_192


class Harvested:
    """Activations in files, one a site, given in batches of mixed tokens."""

    def __init__(self, files: dict[Site, Path], batch: int) -> None:
        self._values = {site: np.load(file, mmap_mode="r") for site, file in files.items()}
        tokens = len(next(iter(self._values.values())))
        self._order = torch.randperm(tokens, generator=torch.Generator().manual_seed(SEED)).numpy()
        self._batch = batch

    @property
    def steps(self) -> int:
        """Whole batches."""
        return len(self._order) // self._batch

    def batches(self, start: int = 0) -> Iterator[dict[Site, torch.Tensor]]:
        for step in range(start, self.steps):
            rows = np.sort(self._order[step * self._batch : (step + 1) * self._batch])
            yield {site: torch.from_numpy(x[rows]) for site, x in self._values.items()}


def train(case: Case, model: Model, world: World, folder: Path) -> list[Dictionary]:
    """The dictionaries of a case, from its file where it stands, else trained now."""
    file = folder / f"{case.name.replace(', ', '-').replace(' ', '-')}.safetensors"
    if not file.exists():
        plan = fitted(PLANS["standard"], model)
        sites = sorted(
            {s for d in case.dictionaries for s in (*d.shape.reads, *d.shape.writes)}, key=str
        )
        source = Harvested(_files(model, world, sites, folder), plan.batch_tokens)
        made = trainer.train(case.dictionaries, source, source.steps, trainer.Settings(seed=SEED))
        weights = {
            f"{number}.{name}": tensor.contiguous()
            for number, dictionary in enumerate(made)
            for name, tensor in dictionary.state_dict().items()
        }
        with writing(file) as temporary:
            save_file(weights, temporary)
    kept = load_file(file)
    for number, dictionary in enumerate(case.dictionaries):
        names = dictionary.state_dict()
        dictionary.load_state_dict({name: kept[f"{number}.{name}"] for name in names})
        dictionary.requires_grad_(False)
    return list(case.dictionaries)


def _files(model: Model, world: World, sites: Sequence[Site], folder: Path) -> dict[Site, Path]:
    """The files of activations [tokens width] of the scan's training text, written where absent."""
    files = {site: folder / f"{site}.npy" for site in sites}
    missing = [site for site, file in files.items() if not file.exists()]
    if missing:
        plan = fitted(PLANS["standard"], model)
        tokens = plan.made_tokens - int(plan.held_out * plan.made_tokens)
        text = generate(world, TRAIN_STREAM, tokens, plan.context).text
        parts: dict[Site, list[torch.Tensor]] = {site: [] for site in missing}
        rows = TOKENS_AT_ONCE // text.context
        with progress.task("activations", total=text.n_tokens, unit="tokens") as task:
            for batch in stream(model, text, missing, batch_rows=rows):
                for site in missing:
                    parts[site].append(batch[site].clone())
                task.advance(len(batch.rows) * text.context)
        for site in missing:
            with writing(files[site]) as temporary, temporary.open("wb") as file:
                np.save(file, torch.cat(parts.pop(site)).numpy())
    return files
