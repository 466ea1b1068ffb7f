"""Mechanisms: what the reference model is known to compute, found and moved by its features.

Features are the latents of a transcoder of each MLP (`benchmarks.transcoders`, trained once). Which
features stand for a state or an ending is chosen on prompts that the model's training text may
hold, and everything is measured on held-out ones. For the graph and for what is active, the
features of a thing are those that fire for it and not for others; for a swap, every feature that
tells things apart counts, moved by the difference of the two things' means at its place:

* two hops: does the pruned graph hold city → feature of its state → capital, and does swapping the
  features of the state for those of another make the other state's capital the answer?
* couplets: between the verb that chose it and the ending, are the features that tell endings apart
  nearest to the chosen ending's means, and does swapping them change both the adjective's class and
  the ending?
* languages: do the features that write an answer in English write it in the other language, and is
  there one set of features that writes it in both?

Beside each stands a control: the same with features of something else.

    python -m benchmarks.mechanisms --json
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.sparse.csgraph import breadth_first_order
from torch import Tensor

from benchmarks.harness import Figure, figure, main, share
from benchmarks.transcoders import reference
from tomogram.circuits.graph.graph import FEATURE, TOKEN
from tomogram.circuits.graph.scores import prune
from tomogram.circuits.graph.targets import Token, token_id
from tomogram.circuits.graph.trace import Limits, prompt_tokens, trace
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.given import given_model
from tomogram.reference.shipped import world_of
from tomogram.store.estimates import estimate
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import couplets, facts
from tomogram.text.microworld.world import Fact, World
from tomogram.text.microworld.writer import fill

SELECTIVE = 0.7
"""Least F1 with which a feature tells one thing from the others of its kind."""
TELLING = 2.0
"""Least variance of a feature's activation between things, by its variance within them."""
SCALES = (1.0, 2.0, 3.0, 4.0)
TOP = 10

Features = dict[tuple[int, int], float]
"""(layer, latent) with its mean activation where it stands for its thing."""


def held(flags: Sequence[bool], target: float | None = None) -> Figure:
    """The share of prompts that something holds for."""
    return share(sum(flags), len(flags), target)


@dataclass(frozen=True, eq=False)
class Lab:
    """The model, its transcoders, and its world."""

    model: Model
    transcoders: tuple[Dictionary, ...]
    world: World

    def tokens(self, prompt: str) -> Tensor:
        return prompt_tokens(self.model, prompt)

    @torch.no_grad()
    def fired(self, tokens: Tensor) -> Float[Tensor, "layer pos latent"]:
        """Activations of all features on a prompt."""
        sites = [Site("mlp_in", layer) for layer in range(self.model.n_layers)]
        run = self.model.run(tokens[None], capture=sites, logits=False)
        return torch.stack([
            dictionary.encode(run[site][0]).dense()
            for dictionary, site in zip(self.transcoders, sites, strict=True)
        ])  # fmt: skip

    def writing(
        self, change: Callable[[int, Tensor], Tensor], first: int
    ) -> dict[Site, Intervention]:
        """Interventions that add, from position `first` on, what a change of activations writes.

        change: takes the layer and the activations [pos latent] and gives those to have instead.
        """
        seen: dict[int, Tensor] = {}
        actions: dict[Site, Intervention] = {}

        def read(layer: int) -> Intervention:
            def keep(x: Tensor) -> Tensor:
                seen[layer] = self.transcoders[layer].encode(x[0]).dense()
                return x

            return keep

        def write(layer: int) -> Intervention:
            def put(value: Tensor) -> Tensor:
                now = seen[layer]
                new = change(layer, now.clone())
                value[0, first:] += ((new - now) @ self.transcoders[layer].W_dec)[first:]
                return value

            return put

        for layer in range(self.model.n_layers):
            actions[Site("mlp_in", layer)] = read(layer)
            actions[Site("mlp_out", layer)] = write(layer)
        return actions

    @torch.no_grad()
    def next(
        self, tokens: Tensor, interventions: dict[Site, Intervention] | None = None
    ) -> Float[Tensor, " d_vocab"]:
        """Log-probabilities of the next word."""
        logits = self.model.run(tokens[None], interventions=interventions).logits
        assert logits is not None
        return logits[0, -1].log_softmax(-1)

    def word(self, token: int) -> str:
        return str(self.model.tokenizer.decode([token])).strip()

    def says(self, prompt: str) -> str:
        """The word that the model goes on with."""
        return self.word(int(self.next(self.tokens(prompt)).argmax()))


def selective(
    fired: Sequence[Float[Tensor, "layer latent"]], things: Sequence[str]
) -> dict[str, Features]:
    """Of each thing, the features that tell it from the others, by F1 over samples."""
    activity = torch.stack(list(fired))
    on = activity > 0
    found: dict[str, Features] = {}
    for thing in sorted(set(things)):
        mine = torch.tensor([each == thing for each in things])
        hits = on[mine].sum(0).double()
        f1 = 2 * hits / (on.sum(0) + mine.sum()).clamp_min(1)
        mean = activity[mine].sum(0) / hits.clamp_min(1)
        found[thing] = {
            (int(layer), int(latent)): float(mean[layer, latent])
            for layer, latent in (f1 >= SELECTIVE).nonzero()
        }
    return found


@dataclass(frozen=True, eq=False)
class Profiles:
    """What features do for each thing of a kind, at each of some places in a prompt.

    Args:
        means: of their activations, for each thing. telling: those that tell things apart.
    """

    means: dict[str, Float[Tensor, "place layer latent"]]
    telling: Bool[Tensor, "place layer latent"]

    def nearest(self, found: Float[Tensor, "place layer latent"]) -> str:
        """The thing whose means are nearest, over the telling features."""
        return min(
            self.means,
            key=lambda each: float((found - self.means[each])[self.telling].square().sum()),
        )

    def swap(
        self, old: str, new: str, scale: float, first: int, *, layers: range | None = None
    ) -> Callable[[int, Tensor], Tensor]:
        """A change of activations: the telling features moved from one thing towards another.

        The place of a position is how far it lies behind `first`, at most the last place. Nothing
        fires less than not at all.
        """
        step = scale * torch.where(self.telling, self.means[new] - self.means[old], 0.0)

        def change(layer: int, now: Tensor) -> Tensor:
            if layers is None or layer in layers:
                for position in range(first, len(now)):
                    place = min(position - first, len(step) - 1)
                    now[position] = (now[position] + step[place, layer]).clamp_min(0)
            return now

        return change


def profiles(
    fired: Sequence[Float[Tensor, "place layer latent"]], things: Sequence[str]
) -> Profiles:
    """Profiles of things from samples of what fires for them."""
    activity = torch.stack(list(fired))
    means, within = {}, []
    for thing in sorted(set(things)):
        own = activity[torch.tensor([each == thing for each in things])]
        means[thing] = own.mean(0)
        within.append(own.var(0, correction=0))
    between = torch.stack(list(means.values())).var(0, correction=0)
    # What never varies tells nothing; a floor keeps it from dividing by nothing.
    return Profiles(means, between >= TELLING * (torch.stack(within).mean(0) + 1e-4))


# --- two hops ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwoHop:
    prompt: str
    city: str
    state: str
    answer: str
    language: str


def two_hops(world: World, *, held_out: bool) -> list[TwoHop]:
    """Two-hop sentences of cities, in both languages and all wordings."""
    return [
        TwoHop(
            fill(text, language, s=city), city.name(language), state.english,
            capital.name(language), language,
        )
        for city, state, capital in facts.two_hop_facts(world)["capital"]
        if facts.two_hop_held_out(world, "capital", city) == held_out
        for language in facts.TWO_HOP
        for text in facts.TWO_HOP[language]["capital"]
    ]  # fmt: skip


def state_features(lab: Lab, prompts: Iterable[TwoHop]) -> dict[str, Features]:
    """Features that tell the state of a two-hop sentence, from the city on."""
    fired, things = [], []
    for each in prompts:
        tokens = lab.tokens(each.prompt)
        start = place(lab, tokens, each.city)
        fired.append(lab.fired(tokens)[:, start:].amax(1))
        things.append(each.state)
    return selective(fired, things)


def place(lab: Lab, tokens: Tensor, word: str) -> int:
    """Where a word stands in a prompt."""
    return int((tokens == token_id(lab.model, word)).nonzero()[0, 0])


def holds_path(lab: Lab, each: TwoHop, features: Features) -> bool:
    """Whether the pruned graph leads from the city through one of the features to the answer."""
    target = Token(each.answer)
    traced = trace(lab.model, each.prompt, target, lab.transcoders, limits=Limits(nodes=2_000))
    graph = traced.graph
    edges = prune(graph).edges
    nodes = graph.nodes
    city = place(lab, lab.tokens(each.prompt), each.city)
    start = int(np.flatnonzero(nodes.of(TOKEN) & (nodes.position == city))[0])
    onwards = set(breadth_first_order(edges.T.tocsr(), start, return_predecessors=False).tolist())
    back = set(breadth_first_order(edges, graph.targets.start, return_predecessors=False).tolist())
    middle = {
        node
        for node in np.flatnonzero(nodes.of(FEATURE)).tolist()
        if (int(nodes.layer[node]), int(nodes.unit[node])) in features
    }
    return bool(middle & onwards & back)


def state_profiles(lab: Lab, prompts: Iterable[TwoHop]) -> Profiles:
    """What features do for each state, at the city and behind it."""
    fired, things = [], []
    for each in prompts:
        tokens = lab.tokens(each.prompt)
        start = place(lab, tokens, each.city)
        now = lab.fired(tokens)
        fired.append(torch.stack([now[:, start], now[:, start + 1 :].mean(1)]))
        things.append(each.state)
    return profiles(fired, things)


def answers(
    lab: Lab, each: TwoHop, aim: str, known: Profiles, scale: float, layers: range | None = None
) -> str:
    """The answer with one state's features swapped for another's, from the city on."""
    tokens = lab.tokens(each.prompt)
    first = place(lab, tokens, each.city)
    change = known.swap(each.state, aim, scale, first, layers=layers)
    return lab.word(int(lab.next(tokens, lab.writing(change, first)).argmax()))


def geography(lab: Lab, quick: bool) -> dict[str, Figure]:
    """City → state → capital: the path in the graph, and the swap of states."""
    known, asked = (two_hops(lab.world, held_out=held) for held in (False, True))
    asked = [each for each in asked if lab.says(each.prompt) == each.answer]
    rng = random.Random(0)
    if quick:
        known, asked = rng.sample(known, 60), rng.sample(asked, 4)
    features, known_states = state_features(lab, known), state_profiles(lab, known)
    capitals = {state.english: capital for state, capital in lab.world.capital_of.items()}
    states = sorted(capitals)

    def other(state: str) -> str:
        return rng.choice([each for each in states if each != state])

    # How strongly to swap is chosen on prompts that are not asked.
    trials = rng.sample(known, 8 if quick else 40)
    aims = [other(each.state) for each in trials]

    def swapped(
        prompts: Sequence[TwoHop], aims: Sequence[str], scale: float, layers: range | None = None
    ) -> list[bool]:
        return [
            answers(lab, e, aim, known_states, scale, layers) == capitals[aim].name(e.language)
            for e, aim in zip(prompts, aims, strict=True)
        ]

    scale = max(SCALES, key=lambda s: (sum(swapped(trials, aims, s)), -s))
    goals = [other(each.state) for each in asked]
    moved = swapped(asked, goals, scale)
    # The last layer's features write the answer itself, and not only the state.
    earlier = swapped(asked, goals, scale, range(lab.model.n_layers - 1))
    paths = [holds_path(lab, each, features[each.state]) for each in asked]
    control = [holds_path(lab, e, features[g]) for e, g in zip(asked, goals, strict=True)]
    counts = [len(each) for each in features.values()]
    return {
        "two-hop: graph holds city → state → capital": held(paths, 0.9),
        "two-hop: the same with another state's features (control)": held(control),
        "two-hop: swapped state gives its capital": held(moved, 0.9),
        "two-hop: the same without the last layer's features": held(earlier),
        "two-hop: strength of the swap": Figure(scale),
        "two-hop: features that tell states apart": Figure(float(known_states.telling.sum())),
        "two-hop: features of a state, mean": Figure(float(np.mean(counts))),
    }


# --- couplets ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Couplet:
    """A couplet up to its verb, and on: `tokens` to the end, where the verb is, what it says."""

    tokens: Tensor
    verb: int
    adjective: str
    ending: str


def written(
    lab: Lab, tokens: Tensor, steps: int, interventions: Callable[[], dict[Site, Intervention]]
) -> Tensor:
    """The prompt with its most probable continuation."""
    for _ in range(steps):
        best = lab.next(tokens, interventions()).argmax()
        tokens = torch.cat([tokens, best[None]])
    return tokens


def couplet(lab: Lab, line: str, rng: random.Random) -> Couplet | None:
    """A second line as the model writes it, its verb drawn by the model's own odds."""
    start = written(lab, lab.tokens(line), 2, dict)
    odds = lab.next(start).exp().tolist()
    verb = rng.choices(range(len(odds)), odds)[0]
    tokens = written(lab, torch.cat([start, torch.tensor([verb])]), 4, dict)
    words = [lab.word(int(token)) for token in tokens[-7:]]
    if words[0] != "and" or words[3] != "the" or words[5] not in lab.world.rhyme_of:
        return None
    return Couplet(tokens[:-1], len(start), words[4], words[5])


def told(lab: Lab, rng: random.Random, n: int) -> tuple[list[Tensor], list[str]]:
    """What features do at the verb, `the` and adjective of the generator's own second lines."""
    fired: list[Tensor] = []
    endings: list[str] = []
    while len(fired) < n:
        words = couplets.write(lab.world, rng).words
        line = " ".join(words[: words.index(".")])
        tokens = lab.tokens(line)
        # ... / and then VERB the ADJECTIVE ENDING
        fired.append(lab.fired(tokens)[:, -4:-1].transpose(0, 1))
        endings.append(lab.word(int(tokens[-1])))
    return fired, endings


def planning(lab: Lab, quick: bool) -> dict[str, Figure]:
    """Features of an ending before it is written, and what swapping them does."""
    rng = random.Random(1)
    fired, endings = told(lab, rng, 300 if quick else 1_500)
    features = selective([each.amax(0) for each in fired], endings)
    known = profiles(fired, endings)
    lines = couplets.first_lines(lab.world, rng, 40 if quick else 200)
    made = [found for line, _ in lines if (found := couplet(lab, line, rng)) is not None]
    trials, asked = made[: len(made) // 4], made[len(made) // 4 :]

    def rhyming(each: Couplet) -> str | None:
        rhyme = lab.world.rhyme_of[each.ending]
        others = [e for e in known.means if e != each.ending and lab.world.rhyme_of[e] == rhyme]
        return rng.choice(others) if others and each.ending in known.means else None

    def rewritten(
        each: Couplet, aim: str, scale: float, layers: range | None = None
    ) -> tuple[str, str]:
        change = known.swap(each.ending, aim, scale, each.verb, layers=layers)
        tokens = written(
            lab, each.tokens[: each.verb + 1], 3, partial(lab.writing, change, each.verb)
        )
        _, adjective, ending = (lab.word(int(token)) for token in tokens[-3:])
        return adjective, ending

    def agrees(adjective: str, ending: str, aim: str) -> bool:
        return ending == aim and adjective in names.AGREEMENT[lab.world.agreement_of[aim]][1]

    tried = [(each, aim) for each in trials if (aim := rhyming(each)) is not None]
    scale = max(
        SCALES, key=lambda s: (sum(agrees(*rewritten(e, aim, s), aim) for e, aim in tried), -s)
    )
    active, wrong, near, moved, both, earlier = [], [], [], [], [], []
    for each in asked:
        now = lab.fired(each.tokens)[:, each.verb : -1]
        near.append(known.nearest(now.transpose(0, 1)) == each.ending)
        own = features.get(each.ending, {})
        active.append(any(now[layer, :, unit].max() > 0 for layer, unit in own))
        aim = rhyming(each)
        if aim is None:
            continue
        others = features.get(aim, {})
        wrong.append(any(now[layer, :, unit].max() > 0 for layer, unit in others))
        adjective, ending = rewritten(each, aim, scale)
        moved.append(ending == aim)
        both.append(agrees(adjective, ending, aim))
        # The last layer's features write the words themselves, and not only the plan.
        planned = rewritten(each, aim, scale, range(lab.model.n_layers - 1))
        earlier.append(agrees(*planned, aim))
    return {
        # An ending is told by many features together; single ones that are its alone are few.
        "couplets: features nearest to the chosen ending's means": held(near, 0.8),
        "couplets: features nearest to an ending's means, by chance (control)": Figure(
            1 / len(known.means)
        ),
        "couplets: features of the chosen ending active before it": held(active, 0.8),
        "couplets: features of another rhyme active (control)": held(wrong),
        "couplets: swapped features change the ending": held(moved),
        "couplets: swapped features change ending and adjective": held(both, 0.8),
        "couplets: the same without the last layer's features": held(earlier),
        "couplets: strength of the swap": Figure(scale),
        "couplets: features that tell endings apart": Figure(float(known.telling.sum())),
    }


# --- languages --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A question in one language, its answer, and the other answers to such questions."""

    prompt: str
    answer: str
    others: tuple[str, ...]


def asked(world: World, fact: Fact, language: str) -> Asked:
    """The question for a fact, in the first wording."""
    words = {each.object.name(language) for each in world.facts[fact.relation]}
    answer = fact.object.name(language)
    prompt = fill(facts.ONE_HOP[language][fact.relation][0], language, s=fact.subject)
    return Asked(prompt, answer, tuple(sorted(words - {answer})))


Contributions = dict[tuple[int, int], float]
"""What features (layer, latent) add to an answer."""


def contributions(lab: Lab, question: Asked) -> Contributions:
    """What each feature of the last position adds to the answer's logit directly."""
    target = Token(question.answer)
    traced = trace(lab.model, question.prompt, target, lab.transcoders, limits=Limits(nodes=0))
    linear = traced.linear
    added, _ = linear.rows(traced.aim.reading)
    last = linear.frozen.n_pos - 1
    found: Contributions = {}
    for number, group in enumerate(linear.explained.groups):
        first = linear.offsets[number]
        every = torch.arange(group.size)
        here = every[group.positions(every) == last]
        for unit, value in zip(
            group.numbers(here).tolist(), added[first + here, 0].tolist(), strict=True
        ):
            found[group.layer, unit] = value
    return found


def strongest(added: Contributions) -> set[tuple[int, int]]:
    """The features that add most."""
    order = sorted(added, key=lambda each: -added[each])[:TOP]
    return {each for each in order if added[each] > 0}


def in_both(ours: dict[str, Contributions]) -> set[tuple[int, int]]:
    """The features that add most in the language in which they add less."""
    one, other = ours.values()
    return strongest({each: min(one[each], other[each]) for each in one if each in other})


def drop(lab: Lab, question: Asked, silent: set[tuple[int, int]]) -> float:
    """By how much silencing features at the last position lowers the answer's lead, in logits.

    The lead is over the mean of the kind's other words in the same language: the probability of an
    answer that is sure hardly moves, and what writes any word of a language writes no meaning.
    """
    tokens = lab.tokens(question.prompt)
    answer, *others = (token_id(lab.model, e) for e in (question.answer, *question.others))

    def change(layer: int, now: Tensor) -> Tensor:
        for each, latent in silent:
            if each == layer:
                now[:, latent] = 0
        return now

    without = lab.next(tokens, lab.writing(change, len(tokens) - 1))
    whole, left = (float(e[answer] - e[others].mean()) for e in (lab.next(tokens), without))
    return whole - left


def languages(lab: Lab, quick: bool) -> dict[str, Figure]:
    """Whether the features that write an answer in English write it in the other language."""
    rng = random.Random(2)
    shared = [
        fact for told in lab.world.facts.values() for fact in told if fact not in lab.world.only_in
    ]
    served: list[bool] = []
    control: list[bool] = []
    overlap: list[float] = []
    one_set: list[bool] = []
    wrong_set: list[bool] = []
    for fact in rng.sample(shared, 6 if quick else 100):
        questions = {e: asked(lab.world, fact, e) for e in facts.ONE_HOP}
        if any(lab.says(each.prompt) != each.answer for each in questions.values()):
            continue
        added = {e: contributions(lab, each) for e, each in questions.items()}
        ours = {e: strongest(each) for e, each in added.items()}
        stranger = rng.choice(
            [e for e in lab.world.facts[fact.relation] if e.object != fact.object]
        )
        strange = {e: contributions(lab, asked(lab.world, stranger, e)) for e in questions}
        needs = {e: drop(lab, each, ours[e]) / 2 for e, each in questions.items()}
        if min(needs.values()) <= 0:
            continue
        overlap.append(len(ours["english"] & ours["other"]) / TOP)
        for chosen, kept in ((ours["english"], served), (strongest(strange["english"]), control)):
            kept.append(drop(lab, questions["other"], chosen) >= needs["other"])
        for chosen, kept in ((in_both(added), one_set), (in_both(strange), wrong_set)):
            kept.append(all(drop(lab, each, chosen) >= needs[e] for e, each in questions.items()))
    return {
        "languages: the English features do half of what the other's own do": held(served, 0.8),
        "languages: features of another fact do (control)": held(control),
        "languages: one set of features does it in both": held(one_set, 0.8),
        "languages: one set of another fact does (control)": held(wrong_set),
        "languages: share of writing features in common": figure(estimate(np.array(overlap))),
    }


def measure(quick: bool) -> dict[str, Figure]:
    """All figures."""
    torch.set_num_threads(1)
    model = given_model(None)
    world = world_of(model)
    assert world is not None
    transcoders = reference(model, tokens=60_000) if quick else reference(model)
    lab = Lab(model, transcoders, world)
    return geography(lab, quick) | planning(lab, quick) | languages(lab, quick)


if __name__ == "__main__":
    main("mechanisms", measure)
