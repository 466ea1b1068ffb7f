"""Ten concepts of the reference model: one feature, a contrast direction, random directions.

Everything is chosen on the selection's prompts and text, with a budget below the one that is
reported against, because another text costs a little more or less. What is reported comes from the
held-out prompts and a third text. Each kind of push is as strong as the behaviour needs and the
budget allows (`steering.cheapest`). Random directions are chosen on the held-out prompts
themselves, which favours them.

Every push acts on tokens read off the selection's prompts, on prompts and on ordinary text alike:
those from which the judged word is predicted (for a refusal that is `<assistant>`), or, where no
push there turns the selection's prompts, others (`places`). Where that is not enough, too, it waits
for a second feature that marks those prompts (`gates`), which makes it cheaper.

Concepts that were measured are kept until the run ends, so one that broke off goes on (`kept`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import Tensor

from benchmarks.harness import Figure, figure
from benchmarks.steering.cache import folder
from benchmarks.steering.concepts import Concept, ten
from benchmarks.steering.gates import gate
from benchmarks.steering.kept import Kept
from benchmarks.steering.places import places
from tomogram import steering
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import own
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.given import given_model
from tomogram.pipeline.scan import scan
from tomogram.pipeline.training import Order, train
from tomogram.reference.shipped import world_of
from tomogram.steering.behaviours import Says
from tomogram.steering.cheapest import ENOUGH, Candidate, candidates, cheapest, screened
from tomogram.steering.choosing import Chosen
from tomogram.steering.contrast import WAYS, contrasts
from tomogram.steering.cost import text_costs
from tomogram.steering.edits import Change, add
from tomogram.steering.gated import Gated
from tomogram.steering.positions import OnTokens, Where
from tomogram.steering.randoms import random_directions
from tomogram.steering.sensitivity import gradients
from tomogram.steering.steered import steered
from tomogram.steering.targets import Direction, Feature
from tomogram.store import progress
from tomogram.store.canonical import Json
from tomogram.store.digest import digest_array
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
CODE = ("concepts", "gates", "microworld", "places")
"""Files beside this one on which the figures depend."""
# Seeds of the generator's streams: a scan uses 1 and 2, its concept stage others.
_SELECTION, _REPORT, _TRAINED = 42, 43, 44


@dataclass(frozen=True)
class Row:
    """One push on one concept's held-out prompts: outcomes, and relative rise of the loss."""

    outcomes: np.ndarray
    loss: Figure

    def as_json(self) -> Json:
        """It as a JSON value."""
        return {"outcomes": self.outcomes.tolist(), "loss": vars(self.loss)}

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Row:
        """From what `as_json` gives."""
        return cls(np.array(found["outcomes"]), Figure(**found["loss"]))


@dataclass(frozen=True)
class Push:
    """What was chosen on the selection, on which tokens it acts, and what it waits for."""

    chosen: Chosen
    place: str
    where: OnTokens
    gate: Feature | None = None

    @property
    def change(self) -> Change:
        """The edit."""
        edit = add(self.chosen.target, self.chosen.found.strength, self.where)
        return edit if self.gate is None else Gated(edit, self.gate)

    @property
    def enough(self) -> bool:
        """Whether it turns the selection's prompts."""
        return self.chosen.found.outcome >= ENOUGH

    @property
    def told(self) -> str:
        """What it is, and what it did on the selection."""
        target, found = self.chosen.target, self.chosen.found
        size = f" of {target.dictionary.d_dict}" if isinstance(target, Feature) else ""
        waits = "" if self.gate is None else f" where {self.gate.name} fires"
        return (f"{target.name} at {target.write}{size} by {found.strength:.3g} {self.place}{waits}"
                f" (rank {self.chosen.rank}, selection {found.outcome:.2f} at {found.cost:+.3f})"
                )  # fmt: skip


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
    for name, sites in WIDE.items():
        order = Order(places=sites, latents=256 if quick else LATENTS, k=K)
        found += train(model, text, folder() / f"{name}{'-quick' * quick}", order).dictionaries
    return [dictionary.requires_grad_(False) for dictionary in found]


def measure(quick: bool) -> dict[str, Figure]:
    """Three figures a concept and kind of push, and how many concepts reach both targets."""
    model = given_model(None)
    made = dictionaries(model, quick)
    bench = _Bench.of(model, made, quick)
    concepts = ten(bench.world)[: 2 if quick else None]
    kept = Kept.of(
        "microworld-quick" if quick else "microworld",
        [model.digest, bench.candidates, bench.random, *(digest_array(d.W_dec) for d in made)],
        [Path(str(steering.__file__)).parent, *(Path(__file__).with_name(f"{n}.py") for n in CODE)],
    )
    figures: dict[str, Figure] = {}
    scores: dict[str, list[tuple[float, float]]] = {}
    with progress.task("concepts", total=len(concepts), unit="concepts") as task:
        for concept in concepts:
            piece = cast(dict, kept.piece(concept.name, partial(bench.measured, concept)))
            print(piece["told"], flush=True)
            for kind, found in piece["rows"].items():
                row = Row.of(found)
                changed = estimate(row.outcomes)
                aim = kind == "feature"
                figures[f"{concept.name}: {kind}, changed"] = figure(
                    changed, CHANGED if aim else None
                )
                figures[f"{concept.name}: {kind}, loss"] = (
                    replace(row.loss, target=LOSS, at_least=False) if aim else row.loss
                )
                scores.setdefault(kind, []).append((changed.value, row.loss.value))
            task.advance()
    for kind, rows in scores.items():
        if kind == "as it is":
            continue
        both = sum(changed >= CHANGED and loss <= LOSS for changed, loss in rows)
        figures[f"concepts steered by a {kind}"] = Figure(
            both, target=len(concepts) if kind == "feature" else None
        )
        figures[f"mean changed by a {kind}"] = figure(estimate(np.array([c for c, _ in rows])))
    kept.done()
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

    def measured(self, concept: Concept) -> Json:
        """Each kind of push on the held-out prompts, and what was chosen, in words."""
        selection, held_out = concept.selection, concept.held_out
        sites = sorted({d.write for d in self.dictionaries}, key=str)

        def features(where: Where) -> list[Candidate]:
            gradient = gradients(self.model, selection, sites, where)
            return screened(
                self.model, self.dictionaries, selection, gradient, where, n=self.candidates
            )

        # Before the first block stands the last token alone, which is the same in both of a pair.
        residual = [site for site in sites if site.kind == "resid_post"]
        seen = contrasts(self.model, concept.pairs, residual)
        made = [way(seen[site]) for site in residual for way in WAYS.values()]

        def directions(where: Where) -> list[Candidate]:
            return candidates(self.model, made, selection, where, n=self.candidates)

        told: list[str] = []
        feature = self._best(features, selection, told)
        if not feature.enough:
            feature = self._gated(feature, features, selection, told)
        contrast = self._best(directions, selection, told)
        gradient = gradients(self.model, selection, sites, feature.where)
        rows = {
            "as it is": Row(held_out.outcomes(self.model), Figure(0.0)),
            "feature": self._row(concept, feature),
            "contrast direction": self._row(concept, contrast),
            f"best of {self.random} random directions": self._best_random(
                concept, feature, gradient
            ),
        }
        found = ", ".join(f"{kind} {row.outcomes.mean():.2f} at {row.loss.value:+.3f}"
                          for kind, row in rows.items())  # fmt: skip
        lines = [*(f"  tried {each}" for each in told), f"  feature {feature.told}",
                 f"  contrast {contrast.told}"]  # fmt: skip
        return {
            "told": "\n".join([f"{concept.name}: {found}", *lines]),
            "rows": {kind: row.as_json() for kind, row in rows.items()},
        }

    def _best(
        self, tried: Callable[[Where], list[Candidate]], behaviour: Says, told: list[str]
    ) -> Push:
        """The best push of candidates in the first of the places where one turns the prompts, or
        where they turn most."""
        best: Push | None = None
        for place, where in places(self.model, behaviour).items():
            found = tried(where)
            push = Push(self._cheapest(found, behaviour, where), place, where)
            told.append(push.told)
            best = push if best is None else max(best, push, key=_merit)
            if best.enough:
                break
        assert best is not None
        return best

    def _gated(
        self,
        push: Push,
        tried: Callable[[Where], list[Candidate]],
        behaviour: Says,
        told: list[str],
    ) -> Push:
        """The push, or a better one that waits for a second feature."""
        found = [each for each in tried(push.where) if isinstance(each.target, Feature)]
        site = push.chosen.target.write
        own = [each for each in found if each.target.write == site]
        waits = gate(self.model, self.dictionaries, behaviour, push.where, site, self.selection)
        if waits is None or not own:
            return push
        chosen = self._cheapest(own, behaviour, push.where, waits)
        gated = Push(chosen, push.place, push.where, waits)
        told.append(gated.told)
        return max(push, gated, key=_merit)

    def _cheapest(
        self, tried: list[Candidate], behaviour: Says, where: Where, gate: Feature | None = None
    ) -> Chosen:
        return cheapest(self.model, tried, behaviour, self.selection, BUDGET, where, gate)

    def _row(self, concept: Concept, push: Push) -> Row:
        with steered(self.model, push.change):
            outcomes = concept.held_out.outcomes(self.model)
        cost = text_costs(self.model, self.report, {0: [push.change]})[0]
        return Row(outcomes, figure(cost.relative))

    def _best_random(self, concept: Concept, push: Push, gradient: Mapping[Site, Tensor]) -> Row:
        """The random direction that changes most held-out prompts, each turned to the side where
        the behaviour lies by its gradient, and chosen and pushed where the feature is, but on the
        held-out prompts themselves."""
        site = push.chosen.target.write
        drawn = [
            Direction(site, each.vector * (each.vector @ gradient[site]).sign(), each.name)
            for each in random_directions(site, self.model.d_model, self.random)
        ]
        held_out = concept.held_out
        reaching = candidates(self.model, drawn, held_out, push.where, n=self.candidates)
        chosen = self._cheapest(reaching, held_out, push.where, push.gate)
        return self._row(concept, Push(chosen, push.place, push.where, push.gate))


def _merit(push: Push) -> tuple[bool, float, float]:
    """By which the better of two pushes is taken: the cheaper one if both are enough."""
    found = push.chosen.found
    return push.enough, 0.0 if push.enough else found.outcome, -found.cost
