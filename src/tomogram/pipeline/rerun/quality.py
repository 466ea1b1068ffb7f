"""The model's loss and what dictionaries cost it, measured again on the same held-out rows."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.splice import Splice
from tomogram.evaluation import reconstruction
from tomogram.evaluation.splicing import predicting_rows, price
from tomogram.models.model import Model
from tomogram.pipeline.rerun.sample import Sample, drawn
from tomogram.store.schema import Manifest
from tomogram.text.packing import PackedText

BATCH_ROWS = 8


def loss(manifest: Manifest, text: PackedText) -> Sample:
    """The model's own loss."""
    name = "loss of the model"

    def measure(model: Model) -> Mapping[str, float]:
        priced = price(model, _measured_rows(manifest, text), {}, batch_rows=BATCH_ROWS)
        return {name: priced.loss.value}

    return Sample({name: manifest.coverage.loss.value}, measure)


def dictionaries(
    manifest: Manifest,
    text: PackedText,
    every: Sequence[Dictionary],
    n: int,
    generator: random.Random,
) -> Sample:
    """What some dictionaries leave unexplained, and what each costs in loss."""
    chosen = drawn(list(every), n, generator)
    records = {record.name: record for record in manifest.dictionaries}
    recorded = {}
    for each in chosen:
        quality = records[each.name].quality
        recorded[_fvu(each.name)] = quality.fvu
        recorded[_rise(each.name)] = quality.rise.value

    def measure(model: Model) -> Mapping[str, float]:
        readings = reconstruction.read(
            model, text, {each.name: each for each in chosen}, {}, batch_rows=BATCH_ROWS
        )
        sets = {each.name: [Splice.of(each)] for each in chosen}
        rows = _measured_rows(manifest, text)
        priced = price(model, rows, sets, batch_rows=BATCH_ROWS, seed=manifest.run.seeds["scan"])
        found = {}
        for each in chosen:
            found[_fvu(each.name)] = readings[each.name].total.fvu
            found[_rise(each.name)] = priced.costs[each.name].rise.value
        return found

    return Sample(recorded, measure)


def _measured_rows(manifest: Manifest, text: PackedText) -> PackedText:
    limit = int(manifest.plan.settings["measured_rows"])
    return text.take(predicting_rows(text)[:limit])


def _fvu(name: str) -> str:
    return f"unexplained variance of {name}"


def _rise(name: str) -> str:
    return f"rise in loss with {name} in place"
