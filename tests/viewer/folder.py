"""A small scan's folder with everything the viewer reads: tables, dictionaries, a tiny model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from tests.report.example import build_manifest
from tests.report.findings import write_findings
from tests.report.folder import FAMILIES, write_tomogram
from tomogram.dictionaries.formats import own
from tomogram.dictionaries.shape import autoencoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.reference.recipe import REFERENCE
from tomogram.reference.train import save, untrained
from tomogram.store.schema import ConceptRecord, Manifest, Match, UnitGroup
from tomogram.text.spelling import spell

TINY = replace(REFERENCE, name="tiny", layers=2, width=96)


def write_model(folder: Path) -> Model:
    """A model of the microworld, as it is before training, and loaded."""
    save(untrained(TINY), TINY, folder, torch.float32)
    return load(folder)


def manifest_of(model: Model, name: str) -> Manifest:
    """The example's manifest, said of this model and of the example's tables."""
    base = build_manifest(2, 2)
    groups = tuple(
        UnitGroup(
            name=f.name, kind=f.kind, layer=f.layer, units=f.size, live=f.size - 1,
            labelled=f.size // 2, passing=1, label_score=None,
        )
        for f in FAMILIES
    )  # fmt: skip
    concept = ConceptRecord(
        name="city in Texas", group="geography", single_word=False, tokens=40,
        feature=Match(group="resid_post.1", index=3, f1=0.999),
        neuron=Match(group="neurons.0", index=1, f1=0.42), probe=1.0, random=0.2,
    )  # fmt: skip
    assert base.concepts is not None
    concepts = base.concepts.model_copy(update={"concepts": (concept, *base.concepts.concepts[1:])})
    record = base.model.model_copy(update={"digest": model.digest, "name": name})
    return base.model_copy(update={"model": record, "groups": groups, "concepts": concepts})


def write_scan(
    folder: Path, model: Model, *, spelling: Sequence[str] | None = None, name: str = "tiny"
) -> Path:
    """A finished scan of the model; its dictionaries are random, its firings are the example's."""
    manifest = manifest_of(model, name)
    words = spell(model.tokenizer, model.d_vocab) if spelling is None else spelling
    generator = torch.Generator().manual_seed(0)
    directions = {}
    for family in FAMILIES[:2]:
        shape = autoencoder(Site("resid_post", family.layer), model.d_model)
        dictionary = TopK(shape, family.size, k=4)
        rows = torch.randn(family.size, model.d_model, generator=generator)
        # Two directions that are nearly one, so that something is similar to something.
        rows[1] = rows[0] + 0.1 * rows[1]
        directions[family.name] = torch.nn.functional.normalize(rows, dim=1)
        dictionary.start(rows, directions[family.name])
        own.save(dictionary, folder / "dictionaries", model="tiny", context=32)
    write_findings(folder, model.digest)
    return write_tomogram(folder, spelling=words, manifest=manifest, directions=directions)
