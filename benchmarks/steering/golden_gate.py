"""Golden Gate: one feature of stories15M amplified, until nearly every story has a dog in it.

After Templeton et al. 2024 ("Golden Gate Claude"). The concept and its words were fixed before any
dictionary was trained. The feature and its strength are chosen on one set of story openings, and
reported on openings of other stories; the dictionaries saw neither. A strength may be chosen where
the selection's stories stay fluent with some room to spare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks.harness import Figure, figure
from benchmarks.steering.cache import folder
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.generate import stop_tokens
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.training import Order, train
from tomogram.steering.behaviours import Mentions, Says, mentions
from tomogram.steering.choosing import Prices, ranked
from tomogram.steering.contrast import Pairs, contrasts, mean_difference
from tomogram.steering.cost import text_costs
from tomogram.steering.edits import add
from tomogram.steering.fluency import distinct, losses
from tomogram.steering.randoms import random_directions
from tomogram.steering.sensitivity import Sensitivity, fishers, gradients
from tomogram.steering.steered import steered
from tomogram.steering.strength import Most
from tomogram.steering.targets import Target
from tomogram.store.estimates import estimate, ratio
from tomogram.text.packing import PackedText, pack
from tomogram.text.sources import read_documents

SHARED = Path(__file__).parents[3] / "shared"

WORDS = frozenset({"dog", "dogs", "doggy", "puppy", "puppies"})
OTHERS = ("girl", "boy", "ball", "tree", "cat", "bird", "car", "flower")
"""What stands in the place of the dog on the other side of a contrast pair."""

LAYERS = (3, 4)
TRAINED = 500_000
"""Tokens the dictionaries are trained on."""
KEPT = 700
"""The last so many stories of the text are not trained on."""

OPENING, STORY = 12, 120
"""Tokens of an opening, and of the story that follows it."""
SELECTION, REPORT = 32, 100
CONTEXT = 256

CANDIDATES = 4
BUDGETS = (0.06, 0.12, 0.25)
"""Relative rises of the loss on ordinary text, at which a candidate's stories are looked at."""

TOLD, LOSS, DISTINCT = 0.80, 1.15, 0.90
"""Targets: stories about the concept; loss and distinct-3 beside the unsteered model's."""
ROOM = 0.7
"""Share of what fluency may lose that the selection may use."""


@dataclass(frozen=True)
class Stories:
    """Stories from openings: which are about the concept, loss of each, distinct-3 of all."""

    told: np.ndarray
    losses: np.ndarray
    distinct: float
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Push:
    """A target, its strength and what its selection's stories were."""

    target: Target
    strength: float
    stories: Stories


def measure(quick: bool) -> dict[str, Figure]:
    """Stories about the concept, unsteered, by one feature, by contrast and by random directions,
    and how fluent they are."""
    model = load(SHARED / "models/stories15M")
    told = list(read_documents(str(SHARED / "text/stories.txt")))
    learned, rest = told[:-KEPT], told[-KEPT:]
    made = dictionaries(model, learned, quick)
    bench = _Bench.of(model, learned, rest, quick)
    feature = bench.feature(made)
    contrast = bench.best(bench.contrast())
    random = bench.best_random(feature, 2 if quick else 20)
    before = bench.report(None)
    figures = {"stories: about a dog, unsteered": figure(estimate(before.told))}
    for name, push in (
        ("feature", feature), ("contrast direction", contrast), ("best random direction", random)
    ):  # fmt: skip
        aim = name == "feature"
        after = bench.report(push)
        cost = text_costs(model, bench.ordinary, {0: [add(push.target, push.strength)]})[0]
        lost = ratio(after.losses, before.losses)
        figures |= {
            f"stories: about a dog, {name}": figure(estimate(after.told), TOLD if aim else None),
            f"stories: loss under the unsteered model, {name}": figure(
                lost, LOSS if aim else None, at_least=False
            ),
            f"stories: distinct-3, {name}": Figure(
                after.distinct / before.distinct, target=DISTINCT if aim else None
            ),
            f"stories: loss on ordinary text, {name}": figure(cost.relative),
        }
        print(f"{name}: {push.target.name} at {push.target.write} by {push.strength:.3g}")
        print(f"  selection {push.stories.told.mean():.2f}: {after.texts[0]}", flush=True)
    return figures


def dictionaries(model: Model, learned: Sequence[str], quick: bool) -> list[Dictionary]:
    """TopK autoencoders of the residual stream, trained once."""
    tokens = 20_000 if quick else TRAINED
    text = pack(iter(learned), model.tokenizer, CONTEXT, tokens)
    order = Order(places=tuple(f"resid_post.{layer}" for layer in LAYERS), k=32)
    out = folder() / ("stories15M-quick" if quick else "stories15M")
    return [d.requires_grad_(False) for d in train(model, text, out, order).dictionaries]


@dataclass(frozen=True, eq=False)
class _Bench:
    model: Model
    selection: tuple[tuple[int, ...], ...]
    openings: tuple[tuple[int, ...], ...]
    learned: tuple[tuple[int, ...], ...]
    priced: PackedText
    ordinary: PackedText
    fishers: Mapping[Site, Tensor]
    before: Stories

    @classmethod
    def of(cls, model: Model, learned: Sequence[str], rest: Sequence[str], quick: bool) -> _Bench:
        def ids(stories: Sequence[str]) -> list[tuple[int, ...]]:
            return [tuple(row) for row in model.tokenizer(list(stories))["input_ids"]]

        def text(stories: Sequence[str], rows: int, context: int) -> PackedText:
            return pack(iter(stories), model.tokenizer, context, rows * context)

        few, many = (4, 6) if quick else (SELECTION, REPORT)
        starts = list(dict.fromkeys(row[:OPENING] for row in ids(rest) if len(row) > OPENING))
        # Openings that name the concept would be no test.
        clean = [s for s in starts if not mentions(model.tokenizer.decode(s), WORDS)]
        half = len(rest) // 2
        selection = tuple(clean[:few])
        # Short rows: each is one draw, and there must be more of them than the stream is wide.
        drawn = text(learned, 32 if quick else 704, 32)
        return cls(
            model,
            selection,
            tuple(clean[few : few + many]),
            tuple(ids(learned[:2000])),
            text(rest[:half], 4 if quick else 10, CONTEXT),
            text(rest[half:], 4 if quick else 48, CONTEXT),
            fishers(model, drawn, [Site("resid_post", layer) for layer in LAYERS]),
            _stories(model, selection, None, seed=1),
        )

    def feature(self, made: Sequence[Dictionary]) -> Push:
        """The feature that, raised, tells most stories about the concept and leaves them fluent."""
        gradient = gradients(self.model, self._before_the_word(), list(self.fishers))
        both = {site: Sensitivity(gradient[site], f) for site, f in self.fishers.items()}
        return self.best(ranked(made, both, n=CANDIDATES))

    def contrast(self) -> list[Target]:
        """Mean differences between text up to a dog and the same text up to something else."""
        positive: list[tuple[int, ...]] = []
        negative: list[tuple[int, ...]] = []
        for story, at in self._words()[:128]:
            other = self._token(OTHERS[len(positive) % len(OTHERS)])
            positive.append(story[: at + 1])
            negative.append((*story[:at], other))
        seen = contrasts(self.model, Pairs(tuple(positive), tuple(negative)), self.fishers)
        return [mean_difference(seen[site]) for site in self.fishers]

    def best(self, targets: Sequence[Target]) -> Push:
        """Of targets and strengths, the one with most stories about the concept that are fluent."""
        tried = [
            self._tried(target, most.strength)
            for budget in BUDGETS
            for target, most in zip(targets, self._strongest(targets, budget), strict=True)
        ]
        fluent = [push for push in tried if self._fluent(push.stories)]
        return max(fluent or tried, key=lambda push: float(push.stories.told.mean()))

    def best_random(self, push: Push, n: int) -> Push:
        """The random direction that tells most stories, pushed as far as the feature is: the same
        cost on ordinary text."""
        edit = add(push.target, push.strength)
        budget = max(text_costs(self.model, self.priced, {0: [edit]})[0].relative.value, 1e-3)
        drawn = random_directions(push.target.write, self.model.d_model, n)
        tried = [
            self._tried(target, most.strength)
            for target, most in zip(drawn, self._strongest(drawn, budget), strict=True)
        ]
        return max(tried, key=lambda each: float(each.stories.told.mean()))

    def report(self, push: Push | None) -> Stories:
        """Stories from the openings that nothing was chosen on."""
        return _stories(self.model, self.openings, push, seed=2)

    def _tried(self, target: Target, strength: float) -> Push:
        empty = Stories(np.zeros(0), np.zeros(0), 0.0, ())
        push = Push(target, strength, empty)
        return Push(target, strength, _stories(self.model, self.selection, push, seed=1))

    def _fluent(self, stories: Stories) -> bool:
        lost = stories.losses.mean() / self.before.losses.mean() - 1
        kept = stories.distinct / self.before.distinct
        return bool(lost <= ROOM * (LOSS - 1) and 1 - kept <= ROOM * (1 - DISTINCT))

    def _strongest(self, targets: Sequence[Target], budget: float) -> list[Most]:
        loss = float(self.before.losses.mean())
        return Prices(self.model, self.priced, budget, self.fishers, loss).strongest(targets)

    def _before_the_word(self) -> Says:
        """Text of the stories learned from, up to where a dog comes."""
        accepted = frozenset(self._token(word) for word in WORDS if self._single(word))
        prompts = [story[:at] for story, at in self._words()[:96]]
        return Says(tuple(prompts), (accepted,) * len(prompts))

    def _words(self) -> list[tuple[tuple[int, ...], int]]:
        """Stories with the place of their first dog, where that is neither early nor late."""
        dog = self._token("dog")
        found = [(story, story.index(dog)) for story in self.learned if dog in story]
        return [(story, at) for story, at in found if 8 <= at < 120]

    def _token(self, word: str) -> int:
        return int(self.model.tokenizer(word, add_special_tokens=False)["input_ids"][0])

    def _single(self, word: str) -> bool:
        return len(self.model.tokenizer(word, add_special_tokens=False)["input_ids"]) == 1


def _stories(
    model: Model, openings: tuple[tuple[int, ...], ...], push: Push | None, *, seed: int
) -> Stories:
    """Stories sampled at temperature 1, the text of this model's own making."""
    asked = Mentions(openings, WORDS, STORY, temperature=1.0, seed=seed, stop=stop_tokens(model))
    with steered(model, *([] if push is None else [add(push.target, push.strength)])):
        written = asked.written(model)
    texts = tuple(model.tokenizer.decode(row, skip_special_tokens=True) for row in written)
    return Stories(
        asked.judged(model, written), losses(model, openings, written), distinct(written), texts
    )
