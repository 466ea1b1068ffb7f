"""Golden Gate: one feature of stories15M amplified, until nearly every story has a dog in it.

After Templeton et al. 2024 ("Golden Gate Claude"). The concept and its words were fixed before any
dictionary was trained. The feature, how it is turned and how strongly are chosen on development
openings, within limits on the fluency of the very stories that the steered model tells there, and
reported once on openings of other stories; the dictionaries saw neither.

What can be chosen is listed in `_Bench.ways`. A run that breaks off goes on where it was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import from_numpy
from torch.nn.functional import normalize

from benchmarks.harness import Figure, figure
from benchmarks.steering.cache import folder
from benchmarks.steering.kept import Kept
from tomogram import steering
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.generate import stop_tokens
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.training import Order, train
from tomogram.steering.behaviours import Mentions, Says, mentions
from tomogram.steering.contrast import Pairs, contrasts, mean_difference
from tomogram.steering.cost import text_costs
from tomogram.steering.edits import Edit, add, clamp
from tomogram.steering.fluent_strength import Continued, Limits, continuations, most_fluent
from tomogram.steering.positions import Between, OnTokens
from tomogram.steering.randoms import random_directions
from tomogram.steering.sensitivity import gradients
from tomogram.steering.strength import strongest_each
from tomogram.steering.targets import Feature, Target
from tomogram.store.canonical import Json
from tomogram.store.digest import digest_array
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
SEEN = slice(32, 132), slice(180, 280)
"""Openings on which earlier versions reported; no longer used. The first paid 1.51 times the loss.
The second used .7 of what fluency may lose (ROOM): .76 of its stories were about a dog, and they
lost 1.03, less than in development."""
DEVELOPMENT, FINAL, REPORT = 32, 48, 100
"""Openings that targets, ways and strengths are searched on; those that the best of them are
measured on again; those that are reported."""
CONTEXT = 256

CANDIDATES, FINALISTS, RANDOM = 2, 2, 20
"""Features that are pushed where the word may come, of which the best is turned in the other ways;
what is measured again; random directions."""
TRIES = 4
"""Strengths of a target in a way."""
FEW = 16
"""Development openings that random directions are tried on."""
FIRST = 0.4
"""Length of the first push that is tried, in lengths of the stream."""
EARLY = 40
"""Tokens of a story that one of the ways acts on."""
BEFORE = 0.8
"""Share of the places before a dog that the tokens of another way stand in."""

TOLD = 0.80
TARGETS = Limits(loss=1.15, distinct=0.90)
"""Targets: stories about the concept; their fluency beside the unsteered model's."""
ROOM = 0.9
"""Share of what fluency may lose that may be used in development."""


@dataclass(frozen=True)
class Way:
    """A way to turn a target, and the edit it makes of a target and a strength."""

    name: str
    edit: Callable[[Target, float], Edit]


EVERYWHERE = Way("added at every token", add)


@dataclass(frozen=True)
class Push:
    """A target, how and how strongly it is turned, and the stories that were told then."""

    target: Target
    way: Way
    strength: float
    stories: Continued

    @property
    def edits(self) -> list[Edit]:
        """The edit, or none where nothing was strong enough to be worth it."""
        return [self.way.edit(self.target, self.strength)] if self.strength else []


def measure(quick: bool) -> dict[str, Figure]:
    """Stories about the concept, unsteered, by one feature, by contrast and by random directions,
    and how fluent they are."""
    model = load(SHARED / "models/stories15M")
    told = list(read_documents(str(SHARED / "text/stories.txt")))
    learned, rest = told[:-KEPT], told[-KEPT:]
    made = dictionaries(model, learned, quick)
    bench = _Bench.of(model, made, learned, rest, quick)
    feature = bench.feature(made)
    pushes = {
        "feature": feature,
        "contrast direction": bench.best(bench.contrast(), [feature.way, EVERYWHERE]),
        "best random direction": bench.best_random(feature, 2 if quick else RANDOM),
    }
    before = bench.report()
    figures = {
        "stories: about a dog, unsteered": figure(estimate(before.outcomes)),
        "stories: words for a dog in a story about one, unsteered": bench.said(before),
    }
    for name, push in pushes.items():
        aim = name == "feature"
        after = bench.report(push)
        cost = text_costs(model, bench.ordinary, {0: push.edits})[0]
        lost = ratio(after.losses, before.losses)
        figures |= {
            f"stories: about a dog, {name}": figure(
                estimate(after.outcomes), TOLD if aim else None
            ),
            f"stories: loss under the unsteered model, {name}": figure(
                lost, TARGETS.loss if aim else None, at_least=False
            ),
            f"stories: distinct-3, {name}": Figure(
                after.kept(before), target=TARGETS.distinct if aim else None
            ),
            f"stories: words for a dog in a story about one, {name}": bench.said(after),
            f"stories: loss on ordinary text, {name}": figure(cost.relative),
        }
        print(f"{name}: {_said(push)}, reported {after.outcome:.2f}")
        print(f"  {bench.text(after.written[0])}", flush=True)
    bench.kept.done()
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
    development: tuple[tuple[int, ...], ...]
    final: tuple[tuple[int, ...], ...]
    openings: tuple[tuple[int, ...], ...]
    learned: tuple[tuple[int, ...], ...]
    priced: PackedText
    ordinary: PackedText
    lengths: Mapping[Site, float]
    """Of the stream on ordinary text, by site."""
    before: OnTokens
    """Where the word may come: tokens that often stand before it."""
    kept: Kept

    @classmethod
    def of(
        cls,
        model: Model,
        made: Sequence[Dictionary],
        learned: Sequence[str],
        rest: Sequence[str],
        quick: bool,
    ) -> _Bench:
        def ids(stories: Sequence[str]) -> list[tuple[int, ...]]:
            return [tuple(row) for row in model.tokenizer(list(stories))["input_ids"]]

        def text(stories: Sequence[str], rows: int, context: int) -> PackedText:
            return pack(iter(stories), model.tokenizer, context, rows * context)

        many = (4, 4, 6) if quick else (DEVELOPMENT, FINAL, REPORT)
        starts = list(dict.fromkeys(row[:OPENING] for row in ids(rest) if len(row) > OPENING))
        # Openings that name the concept would be no test.
        clean = [s for s in starts if not mentions(model.tokenizer.decode(s), WORDS)]
        for seen in reversed(SEEN):
            del clean[seen]
        ends = np.cumsum(many)
        half = len(rest) // 2
        priced = text(rest[:half], 4 if quick else 10, CONTEXT)
        stories = ids(learned[:2000])
        return cls(
            model,
            tuple(clean[: ends[0]]),
            tuple(clean[ends[0] : ends[1]]),
            tuple(clean[ends[1] : ends[2]]),
            tuple(stories),
            priced,
            text(rest[half:], 4 if quick else 48, CONTEXT),
            _lengths(model, priced),
            _before(_words(model, stories)),
            Kept.of(
                "stories-quick" if quick else "stories",
                [model.digest, EARLY, BEFORE, *(digest_array(each.W_dec) for each in made)],
                [Path(str(steering.__file__)).parent],
            ),
        )

    def ways(self) -> list[Way]:
        """How a target may be turned."""
        early = Between(OPENING - 1, OPENING - 1 + EARLY)
        before = self.before
        return [
            Way("added where the word may come", lambda t, by: add(t, by, before)),
            Way("clamped where the word may come", lambda t, by: clamp(t, by, before)),
            Way(f"added at the first {EARLY} tokens", lambda t, by: add(t, by, early)),
            EVERYWHERE,
        ]

    def feature(self, made: Sequence[Dictionary]) -> Push:
        """The feature that, turned, tells most stories about the concept and leaves them fluent.

        Tried are those along which a short push where the word may come does most for it.
        """
        asked = self._before_the_word()
        gradient = gradients(self.model, asked, list(self.lengths), self.before)
        found: list[tuple[float, Target]] = []
        for each in made:
            rows = normalize(each.W_dec.detach().float(), dim=1)
            best = (rows @ gradient[each.write]).topk(CANDIDATES)
            found += [
                (float(does), Feature(each, int(unit)))
                for does, unit in zip(best.values, best.indices, strict=True)
            ]
        found.sort(key=lambda pair: -pair[0])
        return self.best([feature for _, feature in found[:CANDIDATES]], self.ways())

    def contrast(self) -> list[Target]:
        """Mean differences between text up to a dog and the same text up to something else."""
        positive: list[tuple[int, ...]] = []
        negative: list[tuple[int, ...]] = []
        for story, at in _words(self.model, self.learned)[:128]:
            other = _tokens(self.model, OTHERS[len(positive) % len(OTHERS)])[0]
            positive.append(story[: at + 1])
            negative.append((*story[:at], other))
        seen = contrasts(self.model, Pairs(tuple(positive), tuple(negative)), self.lengths)
        return [mean_difference(seen[site]) for site in self.lengths]

    def best(self, targets: Sequence[Target], ways: Sequence[Way]) -> Push:
        """Of targets, ways and strengths, the one with most stories about the concept that are
        fluent: all targets in the first way, then the best of them in the others, then the best few
        of all on more openings."""
        first, *others = dict.fromkeys(ways)
        found = [self._searched(target, first) for target in targets]
        best = max(found, key=_outcome).target
        found += [self._searched(best, way) for way in others]
        finalists = sorted(found, key=_outcome, reverse=True)[:FINALISTS]
        openings = self.development + self.final
        plain = self._stories(None, openings, seed=3)
        again = [
            Push(p.target, p.way, p.strength, self._stories(p, openings, seed=3)) for p in finalists
        ]
        limits = TARGETS.share(ROOM)
        for push in again:
            print(f"again: {_said(push, plain)}", flush=True)
        fluent = [push for push in again if push.stories.within(limits, plain)]
        if not fluent:  # then the one that is nearest to it
            return min(again, key=lambda push: push.stories.lost(plain))
        return max(fluent, key=_outcome)

    def best_random(self, push: Push, n: int) -> Push:
        """The random direction that tells most stories, turned in the feature's way at the same
        cost on ordinary text."""
        asked: Any = {0: push.edits}
        budget = max(text_costs(self.model, self.priced, asked)[0].worst, 1e-4)
        drawn = random_directions(push.target.write, self.model.d_model, n)
        length = push.strength * float(push.target.writes.norm()) or 1.0
        most = strongest_each(
            self.model,
            {i: partial(_turn, push.way, each) for i, each in enumerate(drawn)},
            self.priced,
            budget,
            first=dict.fromkeys(range(n), length),
        )
        few = self.development[:FEW]
        tried = [
            Push(t, push.way, most[i].strength, self._told(t, push.way, most[i].strength, few))
            for i, t in enumerate(drawn)
        ]
        return max(tried, key=_outcome)

    def report(self, push: Push | None = None) -> Continued:
        """Stories from the openings that nothing was chosen on."""
        return self._stories(push, self.openings, seed=2)

    def said(self, stories: Continued) -> Figure:
        """How often a story about the concept names it."""
        texts = [self.text(row).lower() for row in stories.written]
        counts = [sum(word in WORDS for word in re.findall(r"\w+", text)) for text in texts]
        about = [float(count) for count in counts if count]
        return figure(estimate(np.array(about or [0.0])))

    def text(self, row: Sequence[int]) -> str:
        """A story in words."""
        return str(self.model.tokenizer.decode(list(row), skip_special_tokens=True))

    def _searched(self, target: Target, way: Way) -> Push:
        """A target turned in a way as far as the development's stories stay fluent."""
        plain = self._stories(None, self.development, seed=1)
        found = most_fluent(
            lambda by: self._told(target, way, by, self.development),
            plain,
            TARGETS.share(ROOM),
            first=FIRST * self.lengths[target.write] / float(target.writes.norm()),
            tries=TRIES,
        )
        push = Push(target, way, found.strength, found.texts)
        print(_said(push, plain), flush=True)
        return push

    def _told(
        self, target: Target, way: Way, by: float, openings: tuple[tuple[int, ...], ...]
    ) -> Continued:
        untold = cast(Continued, None)
        return self._stories(Push(target, way, by, untold), openings, seed=1)

    def _stories(
        self, push: Push | None, openings: tuple[tuple[int, ...], ...], *, seed: int
    ) -> Continued:
        """Stories sampled at temperature 1."""
        edits = [] if push is None else push.edits
        asked = Mentions(
            openings, WORDS, STORY, temperature=1.0, seed=seed, stop=stop_tokens(self.model)
        )
        name: list[Json] = [seed, [list(row) for row in openings]]
        if push is not None and edits:
            vector = digest_array(push.target.writes)
            turned: list[Json] = [str(push.target.write), vector, push.way.name, push.strength]
            name += turned
        return _from_json(
            self.kept.piece(name, lambda: _as_json(continuations(self.model, asked, *edits)))
        )

    def _before_the_word(self) -> Says:
        """Text of the stories learned from, up to where a dog comes."""
        accepted = frozenset(ids[0] for word in WORDS if len(ids := _tokens(self.model, word)) == 1)
        prompts = [story[:at] for story, at in _words(self.model, self.learned)[:96]]
        return Says(tuple(prompts), (accepted,) * len(prompts))


def _words(model: Model, stories: Sequence[tuple[int, ...]]) -> list[tuple[tuple[int, ...], int]]:
    """Stories with the place of their first dog, where that is neither early nor late."""
    dog = _tokens(model, "dog")[0]
    found = [(story, story.index(dog)) for story in stories if dog in story]
    return [(story, at) for story, at in found if 8 <= at < 120]


def _before(words: Sequence[tuple[tuple[int, ...], int]]) -> OnTokens:
    """The fewest tokens that stand in most of the places before a dog."""
    counted = Counter(story[at - 1] for story, at in words)
    total, chosen = 0, []
    for token, count in counted.most_common():
        if total >= BEFORE * counted.total():
            break
        chosen.append(token)
        total += count
    return OnTokens(frozenset(chosen))


def _tokens(model: Model, word: str) -> list[int]:
    return list(model.tokenizer(word, add_special_tokens=False)["input_ids"])


def _lengths(model: Model, text: PackedText) -> dict[Site, float]:
    """The mean length of the stream at each site, without the token that opens a text."""
    sites = [Site("resid_post", layer) for layer in LAYERS]
    seen = model.run(from_numpy(text.tokens[:4].astype(np.int64)), capture=sites, logits=False)
    return {site: float(seen[site][:, 1:].float().norm(dim=-1).mean()) for site in sites}


def _turn(way: Way, target: Target, strength: float) -> list[Edit]:
    return [way.edit(target, strength)]


def _outcome(push: Push) -> float:
    return push.stories.outcome


def _said(push: Push, plain: Continued | None = None) -> str:
    found = f"{push.target.name} at {push.target.write} {push.way.name} by {push.strength:.3g}"
    found += f": {push.stories.outcome:.2f} about a dog"
    if plain is None:
        return found
    return f"{found}, loss {push.stories.lost(plain):.3f}, distinct {push.stories.kept(plain):.3f}"


def _as_json(stories: Continued) -> Json:
    return {
        "outcomes": stories.outcomes.tolist(),
        "losses": stories.losses.tolist(),
        "distinct": stories.distinct,
        "written": [list(row) for row in stories.written],
    }


def _from_json(piece: Json) -> Continued:
    found = cast(dict[str, Any], piece)
    return Continued(
        np.array(found["outcomes"]),
        np.array(found["losses"]),
        float(found["distinct"]),
        tuple(map(tuple, found["written"])),
    )
