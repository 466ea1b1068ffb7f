"""How strongly drawn units fire where the tables say they fire most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tomogram.activations.stream import Batch, stream
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.trainer import gather
from tomogram.features.tables import Tables
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.rerun.sample import Sample
from tomogram.text.packing import PackedText

# A digest of unit and seed orders the units: the same draw in every version of the database.
_DRAW = """
SELECT family, unit, position, activation, features.kind AS kind, layer, "index", side
FROM exemplars JOIN features USING (family, unit)
WHERE exemplars.kind = 'top' AND exemplars.rank = 0
ORDER BY md5(concat_ws('/', family::VARCHAR, unit::VARCHAR, ?::VARCHAR)), family, unit LIMIT ?
"""


def exemplars(
    tables: Tables, text: PackedText, every: Sequence[Dictionary], n: int, seed: int
) -> Sample:
    """The largest activation of some latents and neurons, at the token where it was found.

    Units of dictionaries that are not at hand are passed over.
    """
    known = {each.name: each for each in every}
    rows = [
        row
        for row in tables.query(_DRAW, (str(seed), 4 * n))
        if row["kind"] == "neuron" or row["family"] in known
    ][:n]

    def measure(model: Model) -> Mapping[str, float]:
        return {_name(row): _again(model, text, known, row) for row in rows}

    return Sample({_name(row): float(row["activation"]) for row in rows}, measure)


def _name(row: Mapping[str, Any]) -> str:
    return f"largest activation of unit {row['unit']} of {row['family']}"


def _again(
    model: Model, text: PackedText, known: Mapping[str, Dictionary], row: Mapping[str, Any]
) -> float:
    line, offset = divmod(int(row["position"]), text.context)
    own = known.get(row["family"])
    sites = [Site("neurons", row["layer"])] if own is None else list(own.shape.reads)
    (batch,) = stream(model, text, sites, batch_rows=1, rows=np.array([line]))
    if own is None:
        value = batch[sites[0]][offset, int(row["index"])]
        return int(row["side"]) * float(value)
    return _latent(own, batch, offset, int(row["unit"]))


@torch.no_grad()
def _latent(dictionary: Dictionary, batch: Batch, offset: int, unit: int) -> float:
    x = gather(batch, dictionary.shape.reads).to(dictionary.W_enc)
    latents = dictionary.encode(x)
    return float(latents.values[offset][latents.indices[offset] == unit].sum())
