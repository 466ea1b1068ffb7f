"""Ten concepts of the reference model: one feature, a contrast direction, random directions.

Everything is chosen on the selection's prompts and text, with a budget below the one that is
reported against, because another text costs a little more or less. What is reported comes from the
held-out prompts and a third text. Each kind of push is as strong as the behaviour needs and the
budget allows (`steering.cheapest`). Random directions are chosen on the held-out prompts
themselves, which favours them.

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
from tomogram.steering.behaviours import Says, deciding
from tomogram.steering.cheapest import Candidate, candidates, cheapest, screened
from tomogram.steering.choosing import Chosen
from tomogram.steering.contrast import WAYS, contrasts
from tomogram.steering.cost import text_costs
from tomogram.steering.edits import add
from tomogram.steering.positions import Where
from tomogram.steering.randoms import random_directions
from tomogram.steering.sensitivity import gradients
from tomogram.steering.steered import steered
from tomogram.steering.targets import Direction, Feature
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
"""Candidates that are tried of the features and of the directions; random directions."""
CONTEXT = 256

SCAN = "TOMOGRAM_SCAN"
"""Names the folder of a finished scan of the shipped model."""
WIDE = {"wide-last": ("resid_post.3",), "wide": ("resid_post.1", "resid_post.3")}
"""Wider dictionaries: trainings by name, and where. Which words have a feature of their own after
the last block differs from training to training, so there are two."""
LATENTS, K, TOKENS = 4_096, 16, 600_000
# Seeds of the generator's streams: a scan uses 1 and 2, its concept stage others.
_SELECTION, _REPORT, _TRAINED = 42, 43, 44


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
    found = [*own.read(kept / "dictionaries")]
    for name, places in WIDE.items():
        order = Order(places=places, latents=256 if quick else LATENTS, k=K)
        found += train(model, text, folder() / f"{name}{'-quick' * quick}", order).dictionaries
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
    candidates: int
    random: int

    @classmethod
    def of(cls, model: Model, dictionaries: list[Dictionary], quick: bool) -> _Bench:
        world = world_of(model)
        assert world is not None

        def text(seed: int, rows: int) -> PackedText:
            return generate(world, seed, (rows // 8 if quick else rows) * CONTEXT, CONTEXT).text

        many = (2, 2) if quick else (TRIED, RANDOM)
        return cls(model, dictionaries, world, text(_SELECTION, 32), text(_REPORT, 64), *many)

    def measured(self, concept: Concept) -> dict[str, Row]:
        """Each kind of push on the held-out prompts."""
        selection, held_out = concept.selection, concept.held_out
        where = deciding(self.model, selection)
        sites = sorted({d.write for d in self.dictionaries}, key=str)
        gradient = gradients(self.model, selection, sites, where)
        tried = screened(
            self.model, self.dictionaries, selection, gradient, where, n=self.candidates
        )
        feature = self._cheapest(tried, selection, where)
        # Before the first block stands the last token alone, which is the same in both of a pair.
        residual = [site for site in sites if site.kind == "resid_post"]
        seen = contrasts(self.model, concept.pairs, residual)
        made = [way(seen[site]) for site in residual for way in WAYS.values()]
        reaching = candidates(self.model, made, selection, where, n=self.candidates)
        contrast = self._cheapest(reaching, selection, where)
        rows = {
            "as it is": Row(held_out.outcomes(self.model), Figure(0.0)),
            "feature": self._row(concept, feature, where),
            "contrast direction": self._row(concept, contrast, where),
            f"best of {self.random} random directions": self._best_random(
                concept, feature.target.write, where, gradient
            ),
        }
        told = ", ".join(f"{kind} {row.outcomes.mean():.2f} at {row.loss.value:+.3f}"
                         for kind, row in rows.items())  # fmt: skip
        print(f"{concept.name}: {feature.target.name} of {_size(feature)} by "
              f"{feature.found.strength:.3g} (rank {feature.rank}, selection "
              f"{feature.found.outcome:.2f} at {feature.found.cost:+.3f}) against "
              f"{contrast.target.name} at {contrast.target.write} (selection "
              f"{contrast.found.outcome:.2f}): {told}", flush=True)  # fmt: skip
        return rows

    def _cheapest(self, tried: list[Candidate], behaviour: Says, where: Where) -> Chosen:
        return cheapest(self.model, tried, behaviour, self.selection, BUDGET, where)

    def _row(self, concept: Concept, chosen: Chosen, where: Where) -> Row:
        edit = add(chosen.target, chosen.found.strength, where)
        with steered(self.model, edit):
            outcomes = concept.held_out.outcomes(self.model)
        cost = text_costs(self.model, self.report, {0: [edit]})[0]
        return Row(outcomes, figure(cost.relative))

    def _best_random(
        self, concept: Concept, site: Site, where: Where, gradient: Mapping[Site, Tensor]
    ) -> Row:
        """The random direction that changes most held-out prompts, each turned to the side where
        the behaviour lies by its gradient, and chosen and pushed as the others are, but on the
        held-out prompts themselves."""
        drawn = [
            Direction(site, each.vector * (each.vector @ gradient[site]).sign(), each.name)
            for each in random_directions(site, self.model.d_model, self.random)
        ]
        held_out = concept.held_out
        reaching = candidates(self.model, drawn, held_out, where, n=self.candidates)
        return self._row(concept, self._cheapest(reaching, held_out, where), where)


def _size(chosen: Chosen) -> str:
    """How many latents the feature's dictionary has: two stand at some sites."""
    assert isinstance(chosen.target, Feature)
    return f"{chosen.target.dictionary.d_dict}"
