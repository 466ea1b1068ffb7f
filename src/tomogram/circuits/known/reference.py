"""Reference: behaviours of the shipped model, as the microworld's generator defines them.

Their true edges are not planted but learned, so the truth is what exact patching says on pairs that
are held out: an edge is true when it alone moves the metric by a share `THRESHOLD` of what all
edges together move it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import torch

from tomogram.circuits.discovery.edges import edge_graph
from tomogram.circuits.discovery.pairs import Pair, batches
from tomogram.circuits.known.case import Case
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.reference.shipped import path, world_of
from tomogram.store.errors import TomogramError
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import copying, facts, requests
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World
from tomogram.text.microworld.writer import fill

THRESHOLD = 0.05
"""Share of m(N) − m(∅), published with every figure that rests on it."""

Drawn = tuple[str, str, str, str]
"""Clean and counterfactual text, answer and other answer."""


def two_hop(world: World, rng: random.Random) -> Iterator[Drawn]:
    """The capital of the state of a city that is not named with its state."""
    triples = facts.two_hop_facts(world)["capital"]
    templates = [each.split("{!o}")[0] for each in facts.TWO_HOP["english"]["capital"]]
    while True:
        template, (a, b) = rng.choice(templates), rng.sample(list(triples), 2)
        if a[2] != b[2]:
            texts = [template.replace("{s}", each[0].english) for each in (a, b)]
            yield texts[0], texts[1], a[2].english, b[2].english


def copies(world: World, rng: random.Random) -> Iterator[Drawn]:
    """What came after the earlier occurrence, in a sequence of random words."""
    pool = copying.words(world)
    while True:
        run = rng.sample(pool, 11)
        sequence, gap, other = run[:6], run[6 : 6 + rng.randint(1, 4)], run[10]
        asked = rng.randint(1, 5)
        changed = [*sequence[:asked], other, *sequence[asked + 1 :]]
        texts = [" ".join((*each, *gap, *sequence[:asked])) for each in (sequence, changed)]
        yield texts[0], texts[1], sequence[asked], other


def refusals(world: World, rng: random.Random) -> Iterator[Drawn]:
    """A forbidden thing asked for, against a harmless one in the same words."""
    while True:
        asking = rng.choice(requests.ASKING)
        things = rng.choice(names.FORBIDDEN), rng.choice(names.HARMLESS)
        texts = [f"<user> {asking.replace('{thing}', each)} <end> <assistant>" for each in things]
        yield texts[0], texts[1], "sorry", "sure"


def rhymes(world: World, rng: random.Random) -> Iterator[Drawn]:
    """The ending of a couplet: the verb has settled its class, the line before its sound.

    In the other prompt the line before ends on another sound, and nothing else is changed.
    """
    by_sound: dict[str, dict[str, str]] = {}
    for ending, sound in world.rhyme_of.items():
        by_sound.setdefault(sound, {})[world.agreement_of[ending]] = ending
    while True:
        one, two = rng.sample(sorted(by_sound), 2)
        shared = sorted(by_sound[one].keys() & by_sound[two].keys())
        if len(shared) < 2:
            continue
        first, second = rng.sample(shared, 2)
        middles = [[rng.choice(words) for words in names.AGREEMENT[c]] for c in (first, second)]
        who = rng.choice(names.ANIMALS)
        texts = [
            f"the {who} {middles[0][0]} the {middles[0][1]} {by_sound[sound][first]} /"
            f" and then {middles[1][0]} the {middles[1][1]}"
            for sound in (one, two)
        ]
        yield texts[0], texts[1], by_sound[one][second], by_sound[two][second]


def languages(world: World, rng: random.Random) -> Iterator[Drawn]:
    """A fact that is told in English alone, asked in the other language."""
    told = {
        relation: [fact for fact in found if world.only_in.get(fact) == "english"]
        for relation, found in world.facts.items()
    }
    relations = sorted(relation for relation, found in told.items() if len(found) > 1)
    while True:
        relation = rng.choice(relations)
        template = rng.choice(facts.ONE_HOP["other"][relation])
        a, b = rng.sample(told[relation], 2)
        if a.object != b.object:
            texts = [fill(template, "other", s=each.subject) for each in (a, b)]
            yield texts[0], texts[1], a.object.other, b.object.other


BEHAVIOURS: dict[str, Callable[[World, random.Random], Iterator[Drawn]]] = {
    "two-hop": two_hop,
    "copying": copies,
    "refusal": refusals,
    "rhymes": rhymes,
    "languages": languages,
}


def cases(*, pairs: int = 12, seed: int = 0) -> tuple[Case, ...]:
    """The behaviours as cases, on pairs to which the model gives the world's answers."""
    model = load(path())
    world = world_of(model)
    assert world is not None
    graph = edge_graph(model)
    found = []
    for name, draw in BEHAVIOURS.items():
        rng = random.Random(f"{name}:{seed}")
        drawn = known_pairs(model, world, draw(world, rng), 2 * pairs)
        found.append(
            Case(name, "reference", model, graph, drawn[:pairs], drawn[pairs:], truth=None)
        )
    return tuple(found)


@torch.no_grad()
def known_pairs(model: Model, world: World, drawn: Iterator[Drawn], n: int) -> tuple[Pair, ...]:
    """The first n different drawn pairs to both prompts of which the model gives the answer.

    Raises:
        TomogramError: the model answers too few of them.
    """
    ids = vocabulary(world)
    found: dict[Pair, None] = {}
    for _ in range(20 * n):
        clean, other, answer, wrong = next(drawn)
        prompts = [(ids["<bos>"], *encode(world, each)) for each in (clean, other)]
        if prompts[0] == prompts[1] or len(prompts[0]) != len(prompts[1]):
            continue
        pair = Pair(prompts[0], prompts[1], ids[answer], ids[wrong])
        (batch,) = batches([pair])
        logits = [model.run(each).logits for each in (batch.clean, batch.counterfactual)]
        said = [int(each[0, -1].argmax()) for each in logits if each is not None]
        if said == [pair.answer, pair.other]:
            found[pair] = None
        if len(found) == n:
            return tuple(found)
    raise TomogramError(f"{model.name} answers too few of the pairs of a behaviour rightly.")
