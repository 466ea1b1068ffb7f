"""Load dictionaries of any known format, from a folder or from the Hub, checked against the model
they are for."""

from __future__ import annotations

from pathlib import Path

import torch

from tomogram.activations.stream import stream
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import (
    circuit_tracer,
    circuit_tracer_cross_layer,
    conventions,
    dictionary_learning,
    gemma_scope,
    hub,
    native,
    norms,
    saelens,
    sparsify,
)
from tomogram.dictionaries.formats.stored import Stored
from tomogram.dictionaries.trainer import gather
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

# In the order they are tried; a pickle is read only where its folder holds nothing plainer.
_PLAIN = (native, saelens, sparsify, circuit_tracer, circuit_tracer_cross_layer, gemma_scope)
FORMATS = (*_PLAIN, dictionary_learning)
"""The known formats."""


def load(
    source: str | Path,
    model: Model,
    text: PackedText,
    *,
    tokens: int = 8192,
    allow_pickle: bool = False,
) -> list[Dictionary]:
    """All dictionaries in a folder and the folders below it, by the order of their paths.

    `source` is a folder, or a place on the Hub as `locate` takes it. What each file's weights mean
    is measured on about `tokens` tokens of `text`. Pickles are read only with `allow_pickle`, and
    then as plain tensors. Raises TomogramError where there is no such folder, no dictionary in it,
    a file is damaged, or a dictionary does not belong to this model.
    """
    stored = find(locate(source, allow_pickle=allow_pickle), allow_pickle=allow_pickle)
    sites = list(dict.fromkeys(site for s in stored for site in (*s.reads, *s.writes)))
    for item in stored:
        for site in (*item.reads, *item.writes):
            if site not in model.sites:
                raise TomogramError(f"{item.origin} belongs to {site}, which {model.name} lacks.")
    rows = min(text.rows, max(1, tokens // text.context))
    batches = list(stream(model, text, sites, batch_rows=8, rows=range(rows)))
    activations = {site: torch.cat([b[site] for b in batches]).float().cpu() for site in sites}
    return [
        conventions.settle(
            s,
            gather(activations, s.reads),
            gather(activations, s.writes),
            norms.before_gain(model, s.reads),
        ).to(model.device)
        for s in stored
    ]


def locate(source: str | Path, *, allow_pickle: bool = False) -> Path:
    """The local folder of a source: the folder itself, or what is fetched from the Hub.

    On the Hub it is `OWNER/NAME`, with `/FOLDER` for a part of the repository and `@REVISION` for
    another than the newest; what exists here is taken before what is on the Hub. Raises
    TomogramError where there is neither, or the Hub cannot be reached.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists() or not hub.is_name(str(source)):
        raise TomogramError(f"There is no folder of dictionaries at {source}.")
    return hub.fetch(
        str(source),
        [pattern for form in FORMATS for pattern in form.FILES],
        pickles=[dictionary_learning.WEIGHTS],
        allow_pickle=allow_pickle,
    )


def find(source: Path, *, allow_pickle: bool = False) -> list[Stored]:
    """The dictionaries of a folder and the folders below it, before their meaning is measured."""
    if not source.is_dir():
        raise TomogramError(f"There is no folder of dictionaries at {source}.")
    folders = [source, *sorted(path for path in source.rglob("*") if path.is_dir())]
    stored = [item for folder in folders for item in _read(folder, allow_pickle)]
    if not stored:
        raise TomogramError(
            f"{source} holds no dictionary in a format known here (Tomogram, SAELens, sparsify, "
            "dictionary_learning, circuit-tracer, Gemma Scope)."
        )
    return stored


def _read(folder: Path, allow_pickle: bool) -> list[Stored]:
    """What one folder holds, by the first format that fits."""
    for form in _PLAIN:
        if form.matches(folder):
            return form.read(folder)
    if dictionary_learning.matches(folder):
        return dictionary_learning.read(folder, allow_pickle=allow_pickle)
    return []
