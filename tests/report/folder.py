"""A tomogram's folder written by the real tables, from firings that are known by construction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from tests.report.example import WORDS, build_manifest
from tomogram.features.exemplars import Batch, Keeper
from tomogram.features.labels import Labeller
from tomogram.features.promoted import Promoted
from tomogram.features.related import related, write_related
from tomogram.features.sketches import Sketch
from tomogram.features.statistics import Statistics
from tomogram.features.survey import Observation, Sample
from tomogram.features.tables import Described, write_tables
from tomogram.features.units import Family, Firings
from tomogram.store.atomic import write_bytes
from tomogram.store.schema import Manifest, manifest_bytes
from tomogram.text.packing import PackedText
from tomogram.text.spelling import save_spelling

VOCABULARY, ROWS, CONTEXT = 24, 96, 32
FAMILIES = (
    Family("resid_post.0", "latent", 0, 16),
    Family("resid_post.1", "latent", 1, 16),
    Family("neurons.0", "neuron", 0, 8),
)
PEAK = 4.0
SPELLING = tuple(f" {word}" for word in list(dict.fromkeys(WORDS))[:VOCABULARY])


def build_text() -> PackedText:
    """Random tokens, a document a row."""
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (ROWS, CONTEXT))
    documents = np.repeat(np.arange(ROWS), CONTEXT).reshape(ROWS, CONTEXT)
    return PackedText(tokens.astype(np.int32), documents.astype(np.int32))


def write_tomogram(
    folder: Path,
    *,
    spelling: Sequence[str] = SPELLING,
    manifest: Manifest | None = None,
    directions: Mapping[str, torch.Tensor] | None = None,
) -> Path:
    """Write a finished scan without its page.

    Args:
        directions: what the units of families of latents write, where something is to resemble.
    """
    text = build_text()
    described = []
    for family in FAMILIES:
        observation = _observe(family, text)
        labels = Labeller(text, np.arange(text.rows)).label(observation)
        ids = np.tile(np.arange(5, dtype=np.int32), (family.size, 1))
        by = np.ones((family.size, 5), np.float32)
        described.append(Described(observation, labels, Promoted(ids, by, ids[:, ::-1], by)))
    write_tables(described, spelling, folder / "features")
    observations = [each.observation for each in described]
    write_related(related(observations, directions or {}), folder / "features")
    text.save(folder / "text" / "train.safetensors")
    save_spelling(spelling, folder / "text" / "vocabulary.json")
    write_bytes(folder / "tomogram.json", manifest_bytes(manifest or build_manifest(2, 2)))
    return folder


def _observe(family: Family, text: PackedText) -> Observation:
    """Unit u fires on token u and nowhere else; the last unit of a family never fires."""
    position = np.arange(text.n_tokens)
    token = text.tokens.reshape(-1)
    firing = token < family.size - 1
    firings = Firings(
        position[firing], token[firing].astype(np.int64), np.full(firing.sum(), PEAK, np.float32)
    )
    batch = Batch(position, text.documents.reshape(-1), text.context)
    statistics, top = Statistics.empty(family.size, 4.0), Keeper("top", family.size, 8)
    spread = Keeper("spread", family.size, 2)
    statistics.add(firings, text.n_tokens)
    top.add(firings, batch)
    spread.add(firings, batch)
    sample = Sample(np.arange(text.rows), firings.token, firings.unit, firings.activation)
    sketch = Sketch(family.size)
    sketch.add(firings, position)
    return Observation(family, statistics, top, spread, sample, sketch)
