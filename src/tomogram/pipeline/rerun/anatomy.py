"""Heads and depths drawn from a tomogram's anatomy, to be scored again."""

from __future__ import annotations

import random
from collections.abc import Mapping

from tomogram.circuits.head_scores import head_scores
from tomogram.circuits.logit_lens import logit_lens
from tomogram.models.model import Model
from tomogram.pipeline.rerun.sample import Sample, drawn
from tomogram.store.schema import Head, LensPoint, Manifest
from tomogram.text.packing import PackedText


def heads(manifest: Manifest, n: int, generator: random.Random) -> Sample:
    """The strongest of the three scores of some heads."""
    kinds = {
        (head.layer, head.head): max(("induction", "previous", "duplicate"), key=_of(head))
        for head in drawn(manifest.anatomy.heads, n, generator)
    }

    def figures(every: tuple[Head, ...]) -> dict[str, float]:
        return {
            f"{kinds[h.layer, h.head]} score of head {h.head} of layer {h.layer}": _of(h)(
                kinds[h.layer, h.head]
            )
            for h in every
            if (h.layer, h.head) in kinds
        }

    def measure(model: Model) -> Mapping[str, float]:
        return figures(head_scores(model, seed=_seed(manifest)))

    return Sample(figures(manifest.anatomy.heads), measure)


def lens(manifest: Manifest, text: PackedText, n: int, generator: random.Random) -> Sample:
    """How far the prediction at some depths is from the final one, and what it gives the truth."""
    sites = {point.site for point in drawn(manifest.anatomy.lens, n, generator)}

    def figures(points: tuple[LensPoint, ...]) -> dict[str, float]:
        found = {}
        for point in points:
            if point.site in sites:
                found[f"probability of the true token at {point.site}"] = (
                    point.true_probability.value
                )
                if point is not points[-1]:  # the last depth is the prediction itself
                    found[f"KL from the final prediction at {point.site}"] = point.kl.value
        return found

    def measure(model: Model) -> Mapping[str, float]:
        return figures(logit_lens(model, text, seed=_seed(manifest)))

    return Sample(figures(manifest.anatomy.lens), measure)


def _of(head: Head):  # type: ignore[no-untyped-def]  # from a score's name to its value
    return lambda kind: getattr(head, kind).value


def _seed(manifest: Manifest) -> int:
    return manifest.run.seeds.get("scan", 0)
