"""Load dictionaries of any known format from a folder, checked against the model they are for."""

from __future__ import annotations

from pathlib import Path

import torch

from tomogram.activations.stream import stream
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import circuit_tracer, conventions, saelens, sparsify
from tomogram.dictionaries.formats.stored import Stored
from tomogram.dictionaries.trainer import gather
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

FORMATS = (saelens, sparsify, circuit_tracer)
"""The known formats, in the order they are tried."""


def load(source: Path, model: Model, text: PackedText, *, tokens: int = 8192) -> list[Dictionary]:
    """All dictionaries in a folder and the folders below it, by the order of their paths.

    What each file's weights mean is measured on about `tokens` tokens of `text`. Raises
    TomogramError where there is no such folder, no dictionary in it, a file is damaged, or a
    dictionary does not belong to this model.
    """
    stored = find(source)
    sites = list(dict.fromkeys(site for s in stored for site in (*s.reads, *s.writes)))
    for item in stored:
        for site in (*item.reads, *item.writes):
            if site not in model.sites:
                raise TomogramError(f"{item.origin} belongs to {site}, which {model.name} lacks.")
    rows = min(text.rows, max(1, tokens // text.context))
    batches = list(stream(model, text, sites, batch_rows=8, rows=range(rows)))
    activations = {site: torch.cat([b[site] for b in batches]).float() for site in sites}
    return [
        conventions.settle(s, gather(activations, s.reads), gather(activations, s.writes))
        for s in stored
    ]


def find(source: Path) -> list[Stored]:
    """The dictionaries of a folder and the folders below it, before their meaning is measured."""
    if not source.is_dir():
        raise TomogramError(f"There is no folder of dictionaries at {source}.")
    folders = [source, *sorted(path for path in source.rglob("*") if path.is_dir())]
    stored = []
    for folder in folders:
        for form in FORMATS:
            if form.matches(folder):
                stored += form.read(folder)
                break
    if not stored:
        raise TomogramError(
            f"{source} holds no dictionary in a format known here (SAELens, sparsify, "
            "circuit-tracer)."
        )
    return stored
