"""Ten concepts of the reference model: one feature, a contrast direction, random directions.

Everything is chosen on the selection's prompts and text, with a budget below the one that is
reported against, because another text costs a little more or less. What is reported comes from the
held-out prompts and a third text. The best of the random directions is taken on the held-out
prompts themselves.

Every push acts on the tokens from which the judged word is predicted on the selection's prompts
(`behaviours.deciding`: for a refusal that is `<assistant>`), on prompts and on ordinary text alike.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks.harness import Figure, figure
from benchmarks.steering.cache import folder
from benchmarks.steering.concepts import Concept, ten
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import own
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.given import given_model
from tomogram.pipeline.scan import scan
from tomogram.pipeline.training import Order, train
from tomogram.reference.shipped import world_of
from tomogram.steering.behaviours import deciding
from tomogram.steering.choosing import Chosen, Prices, choose, ranked
from tomogram.steering.contrast import WAYS, contrasts
from tomogram.steering.cost import text_costs
from tomogram.steering.edits import add
from tomogram.steering.randoms import random_directions
from tomogram.steering.sensitivity import Sensitivity, fishers, gradients
from tomogram.steering.steered import steered
from tomogram.steering.targets import Direction
from tomogram.store import progress
from tomogram.store.estimates import estimate
from tomogram.text.microworld.generate import generate
from tomogram.text.microworld.world import World
from tomogram.text.packing import PackedText

CHANGED, LOSS = 0.90, 0.05
"""Targets: share of prompts that change, relative rise of the loss on ordinary text."""

BUDGET = 0.045
"""What the selection may cost on its own text."""

TRIED, RANDOM = 6, 20
"""Candidates that are tried of the features and of the contrast directions; random directions."""
CONTEXT = 256

SCAN = "TOMOGRAM_SCAN"
"""Names the folder of a finished scan of the shipped model."""
WIDE, LATENTS, K, TOKENS = ("resid_post.1", "resid_post.3"), 4_096, 16, 600_000
"""Where wider dictionaries are trained, and on how much text."""
# Seeds of the generator's streams: a scan uses 1 and 2, its concept stage others.
_FISHER, _SELECTION, _REPORT, _TRAINED = 41, 42, 43, 44


@dataclass(frozen=True)
class Row:
    """One push on one concept's held-out prompts: outcomes, and relative rise of the loss."""

    outcomes: np.ndarray
    loss: Figure


def dictionaries(model: Model, quick: bool) -> list[Dictionary]:
    """Those of a standard scan, and wider ones of the stream after two layers.

    A scan that `TOMOGRAM_SCAN` names is read; without it one is made. What a scan trains has a
    latent or two for each word of the vocabulary, and after the last block, where the next word
    stands, a feature for each word is what steers.
    """
    given = os.environ.get(SCAN)
    kept = Path(given) if given else folder() / ("microworld-quick" if quick else "microworld")
    if not given:
        scan(out=kept, plan="quick" if quick else "standard")
    world = world_of(model)
    assert world is not None
    text = generate(world, _TRAINED, 20_000 if quick else TOKENS, CONTEXT).text
    order = Order(places=WIDE, latents=256 if quick else LATENTS, k=K)
    wide = train(model, text, folder() / ("wide-quick" if quick else "wide"), order)
    found = [*own.read(kept / "dictionaries"), *wide.dictionaries]
    return [dictionary.requires_grad_(False) for dictionary in found]


def measure(quick: bool) -> dict[str, Figure]:
    """Three figures a concept and kind of push, and how many concepts reach both targets."""
    model = given_model(None)
    made = dictionaries(model, quick)
    bench = _Bench.of(model, made, quick)
    concepts = ten(bench.world)[: 2 if quick else None]
    figures: dict[str, Figure] = {}
    kept: dict[str, list[tuple[float, float]]] = {}
    with progress.task("concepts", total=len(concepts), unit="concepts") as task:
        for concept in concepts:
            for kind, row in bench.measured(concept).items():
                changed = estimate(row.outcomes)
                aim = kind == "feature"
                figures[f"{concept.name}: {kind}, changed"] = figure(
                    changed, CHANGED if aim else None
                )
                figures[f"{concept.name}: {kind}, loss"] = (
                    replace(row.loss, target=LOSS, at_least=False) if aim else row.loss
                )
                kept.setdefault(kind, []).append((changed.value, row.loss.value))
            task.advance()
    for kind, rows in kept.items():
        if kind == "as it is":
            continue
        both = sum(changed >= CHANGED and loss <= LOSS for changed, loss in rows)
        figures[f"concepts steered by a {kind}"] = Figure(
            both, target=len(concepts) if kind == "feature" else None
        )
        figures[f"mean changed by a {kind}"] = figure(estimate(np.array([c for c, _ in rows])))
    return figures


@dataclass(frozen=True, eq=False)
class _Bench:
    model: Model
    dictionaries: list[Dictionary]
    world: World
    selection: PackedText
    report: PackedText
    drawn: PackedText
    loss: float
    candidates: int
    random: int

    @classmethod
    def of(cls, model: Model, dictionaries: list[Dictionary], quick: bool) -> _Bench:
        world = world_of(model)
        assert world is not None

        def text(seed: int, rows: int, context: int = CONTEXT) -> PackedText:
            return generate(world, seed, (rows // 8 if quick else rows) * context, context).text

        selection = text(_SELECTION, 16)
        loss = text_costs(model, selection, {0: ()})[0].loss.value
        many = (2, 2) if quick else (TRIED, RANDOM)
        # Short rows for the Fisher information: each is one draw.
        drawn = text(_FISHER, 640, 64)
        return cls(model, dictionaries, world, selection, text(_REPORT, 64), drawn, loss, *many)

    def measured(self, concept: Concept) -> dict[str, Row]:
        """Each kind of push on the held-out prompts."""
        selection, held_out = concept.selection, concept.held_out
        where = deciding(self.model, selection)
        sites = sorted({d.write for d in self.dictionaries}, key=str)
        fisher = fishers(self.model, self.drawn, sites, where, batch_rows=64)
        prices = Prices(self.model, self.selection, BUDGET, fisher, self.loss, where)
        gradient = gradients(self.model, selection, sites, where)
        sensitivities = {site: Sensitivity(gradient[site], fisher[site]) for site in sites}
        features = ranked(self.dictionaries, sensitivities, n=self.candidates)
        feature = choose(self.model, features, selection, prices)
        residual = [site for site in sites if site.kind.startswith("resid")]
        seen = contrasts(self.model, concept.pairs, residual)
        made = [way(seen[site]) for site in residual for way in WAYS.values()]
        made.sort(key=lambda each: -float(sensitivities[each.site].worth(each.vector[None])))
        contrast = choose(self.model, made[: self.candidates], selection, prices)
        random = self._best_random(concept, feature.target.write, prices, gradient)
        rows = {
            "as it is": Row(held_out.outcomes(self.model), Figure(0.0)),
            "feature": self._row(concept, feature, prices),
            "contrast direction": self._row(concept, contrast, prices),
            f"best of {self.random} random directions": random,
        }
        told = ", ".join(f"{kind} {row.outcomes.mean():.2f} at {row.loss.value:+.3f}"
                         for kind, row in rows.items())  # fmt: skip
        print(f"{concept.name}: {feature.target.name} (rank {feature.rank}, selection "
              f"{feature.found.outcome:.2f}) against {contrast.target.name} at "
              f"{contrast.target.write}: {told}", flush=True)  # fmt: skip
        return rows

    def _row(self, concept: Concept, chosen: Chosen, prices: Prices) -> Row:
        edit = add(chosen.target, chosen.found.strength, prices.where)
        with steered(self.model, edit):
            outcomes = concept.held_out.outcomes(self.model)
        cost = text_costs(self.model, self.report, {0: [edit]})[0]
        return Row(outcomes, figure(cost.relative))

    def _best_random(
        self, concept: Concept, site: Site, prices: Prices, gradient: Mapping[Site, Tensor]
    ) -> Row:
        """The random direction that changes most held-out prompts, each turned to the side where
        the behaviour lies by its gradient, and pushed as far as the budget allows."""
        drawn = [
            Direction(site, each.vector * (each.vector @ gradient[site]).sign(), each.name)
            for each in random_directions(site, self.model.d_model, self.random)
        ]
        edits = [
            add(target, most.strength, prices.where)
            for target, most in zip(drawn, prices.strongest(drawn), strict=True)
        ]
        tried = []
        for edit in edits:
            with steered(self.model, edit):
                tried.append(concept.held_out.outcomes(self.model))
        best = max(range(len(edits)), key=lambda i: float(tried[i].mean()))
        cost = text_costs(self.model, self.report, {0: [edits[best]]})[0]
        return Row(tried[best], figure(cost.relative))
