"""Concepts by kind and shape: F1 of the best latent for each known concept of the reference model.

Every kind and shape is trained alone, without the fine-tuning of a scan, on the scan's own text
and as many tokens; for each concept the best latent over all places is chosen on one text and
measured on another, as the scan does. Trained dictionaries are kept in FOLDER, so a benchmark that
was stopped goes on where it was.

    python -m benchmarks.concept_kinds [FOLDER] [--json] [--quick]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy import sparse

from benchmarks.concept_kinds.cases import Case, cases
from benchmarks.concept_kinds.trained import TOKENS_AT_ONCE, train
from benchmarks.dictionary_quality.harvested import ROOT
from benchmarks.harness import Figure, figure, main
from tomogram.activations.stream import stream
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.trainer import gather
from tomogram.features.best_units import LEAST, Known
from tomogram.features.concepts import Latent, best_of, match
from tomogram.features.units import latent_firings
from tomogram.models.model import Model
from tomogram.pipeline.given import given_model
from tomogram.pipeline.plan import PLANS, fitted
from tomogram.reference.shipped import world_of
from tomogram.store import progress
from tomogram.store.atomic import write_json
from tomogram.store.estimates import estimate
from tomogram.text.microworld.concepts import concepts
from tomogram.text.microworld.generate import generate
from tomogram.text.microworld.world import World

_SELECTION, _MEASUREMENT = 3, 4
"""The scan's own streams of the generator."""


def measure(quick: bool, folder: Path) -> dict[str, Figure]:
    """Mean F1 over concepts for each kind and shape, and the active latents a token."""
    model = given_model(None)
    world = world_of(model)
    assert world is not None
    wanted = cases(model)
    if quick:
        wanted = tuple(case for case in wanted if case.name == "crosscoder, topk")
    figures: dict[str, Figure] = {}
    single = np.array([concept.single_word for concept in concepts(world)])
    with progress.task("kinds and shapes", total=len(wanted), unit="cases") as task:
        for case in wanted:
            found = _of_case(case, model, world, folder)
            f1, kept = np.array(found["f1"]), np.array(found["kept"], dtype=bool)
            figures[f"{case.name}: F1"] = figure(estimate(f1))
            figures[f"{case.name}: F1, single words"] = figure(estimate(f1[single[kept]]))
            figures[f"{case.name}: F1, not single words"] = figure(estimate(f1[~single[kept]]))
            figures[f"{case.name}: L0"] = Figure(float(np.mean(found["l0"])))
            task.note(f"{case.name}: F1 {f1.mean():.3f}")
            task.advance()
    return figures


def _of_case(case: Case, model: Model, world: World, folder: Path) -> dict:
    """F1 of each concept that is true often enough, which those are, and each dictionary's L0."""
    file = folder / f"{case.name.replace(', ', '-').replace(' ', '-')}.json"
    if not file.exists():
        dictionaries = train(case, model, world, folder)
        halves = [_known(world, model, number) for number in (_SELECTION, _MEASUREMENT)]
        counts = [np.asarray(half.truth.astype(np.int64).sum(0)).ravel() for half in halves]
        kept = (counts[0] >= LEAST) & (counts[1] >= LEAST)
        truths = [sparse.csr_array(half.truth)[:, np.flatnonzero(kept)] for half in halves]
        seen = [_latents(model, half, dictionaries) for half in halves]
        families = {
            dictionary.name: match(selection, truths[0], measurement, truths[1])
            for dictionary, selection, measurement in zip(dictionaries, *seen, strict=True)
        }
        f1 = best_of(families)[1].measured
        l0 = [latent.matrix.nnz / latent.matrix.shape[0] for latent in seen[1]]
        write_json(file, {"f1": f1.tolist(), "kept": kept.astype(int).tolist(), "l0": l0})
    found: dict = json.loads(file.read_bytes())
    return found


def _known(world: World, model: Model, number: int) -> Known:
    plan = fitted(PLANS["standard"], model)
    made = generate(world, number, plan.concept_tokens, plan.context)
    return Known(made.text, made.truth)


def _latents(model: Model, known: Known, dictionaries: Sequence[Dictionary]) -> list[Latent]:
    """Every dictionary's latents over a text."""
    sites = sorted({site for each in dictionaries for site in each.shape.reads}, key=str)
    parts: list[list[sparse.csr_array]] = [[] for _ in dictionaries]
    rows = TOKENS_AT_ONCE // known.text.context
    for batch in stream(model, known.text, sites, batch_rows=rows):
        for own, each in zip(parts, dictionaries, strict=True):
            x = gather(batch, each.shape.reads)
            with torch.no_grad():
                firings = latent_firings(each.encode(x))
            entries = (firings.activation, (firings.token, firings.unit))
            own.append(sparse.csr_array(entries, shape=(len(x), each.d_dict)))
    return [Latent(sparse.csc_array(sparse.vstack(own))) for own in parts]


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    sys.argv[1:] = [word for word in sys.argv[1:] if word.startswith("-")]
    place = Path(words[0]) if words else ROOT / "build" / "concept_kinds"
    main("concept_kinds", lambda quick: measure(quick, place))
