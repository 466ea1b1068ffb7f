"""Cheapest: which target needs least to turn a behaviour, and how far to turn it.

The first candidates are those whose strong pushes reach furthest on a few prompts (`reach`), which
finds what a gradient does not see; each is then turned as little as the behaviour needs on all
prompts, and the one that costs least is taken. So the price is asked of few targets, and a push is
no stronger than it has to be where the behaviour's own tokens are rare and the budget would allow
anything. Targets are chosen by what they do to the output, as in Arad et al. 2025, "SAEs Are Good
for Steering".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.behaviours import Behaviour, Says
from tomogram.steering.choosing import CANDIDATES, Chosen
from tomogram.steering.cost import text_costs
from tomogram.steering.edits import Change, add
from tomogram.steering.gated import Gated
from tomogram.steering.positions import Where, everywhere
from tomogram.steering.reach import Reach, reached
from tomogram.steering.steered import steered
from tomogram.steering.strength import Found
from tomogram.steering.targets import Feature, Target
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

SCREENED = 24
"""Features of each dictionary whose strong pushes are tried, those that the gradient likes best."""
ENOUGH = 0.96
"""A push that changes so many of the prompts is as long as the behaviour needs."""
STEP = 1.2
_STEPS = 10
ROOM = (0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.35, 1.5)
"""At which multiples of the push that is needed the behaviour is measured in the end."""


@dataclass(frozen=True)
class Candidate:
    """A target, and about how strong a push of it did most on a few prompts."""

    target: Target
    strength: float


def screened(
    model: Model,
    dictionaries: Iterable[Dictionary],
    behaviour: Says,
    gradients: Mapping[Site, Float[Tensor, " d"]],
    where: Where = everywhere,
    *,
    n: int = CANDIDATES,
    each: int = SCREENED,
) -> list[Candidate]:
    """The `n` features whose strong pushes bring a behaviour furthest, the furthest first.

    Of each dictionary `each` features are tried, those along which the behaviour's gradient is
    largest; of one that writes after the last block all, since a push there costs no block.
    """
    found: list[tuple[float, Candidate]] = []
    for dictionary in dictionaries:
        site = dictionary.write
        rows = torch.nn.functional.normalize(dictionary.W_dec.detach().float(), dim=1)
        is_last = site == Site("resid_post", model.n_layers - 1)
        many = len(rows) if is_last else min(each, len(rows))
        units = (rows @ gradients[site].to(rows.device)).topk(many).indices
        features = [Feature(dictionary, int(unit)) for unit in units]
        reach = reached(model, behaviour, site, rows[units], where)
        found += [(_score(reach, i), _candidate(features[i], reach, i)) for i in reach.best(n)]
    found.sort(key=lambda pair: -pair[0])
    return [candidate for _, candidate in found[:n]]


def candidates(
    model: Model, targets: Sequence[Target], behaviour: Says, where: Where, *, n: int = CANDIDATES
) -> list[Candidate]:
    """Of targets of any kind the `n` whose strong pushes bring a behaviour furthest."""
    sites: dict[Site, list[Target]] = {}
    for target in targets:
        sites.setdefault(target.write, []).append(target)
    found: list[tuple[float, Candidate]] = []
    for site, some in sites.items():
        reach = reached(model, behaviour, site, torch.stack([t.writes for t in some]), where)
        found += [(_score(reach, i), _candidate(t, reach, i)) for i, t in enumerate(some)]
    found.sort(key=lambda pair: -pair[0])
    return [candidate for _, candidate in found[:n]]


def _score(reach: Reach, i: int) -> float:
    return float(reach.outcome[i]) + 1e-3 * float(reach.margin[i]) / 20


def _candidate(target: Target, reach: Reach, i: int) -> Candidate:
    return Candidate(target, float(reach.length[i]) / float(target.writes.float().norm()))


@dataclass(frozen=True)
class _Trial:
    target: Target
    strength: float
    outcome: float
    cost: float
    rank: int


def cheapest(
    model: Model,
    tried: Sequence[Candidate],
    behaviour: Behaviour,
    text: PackedText,
    budget: float,
    where: Where = everywhere,
    gate: Target | None = None,
) -> Chosen:
    """Of candidates turned as little as the behaviour needs, the one that costs least.

    Where none shows the behaviour as much as is `ENOUGH` within the budget, the one that shows it
    most within it is taken. In the end the strength is the one that shows the behaviour most near
    what is needed, within the budget; of equals the strongest, which leaves room for other prompts.

    Args:
        budget: largest `TextCost.worst` on the text.
        gate: a push acts only where this is active; None where it acts always.

    Raises:
        TomogramError: there is no candidate, or one writes before the gate is read.
    """
    if not tried:
        raise TomogramError("No target brings this behaviour nearer.")

    def push(target: Target, strength: float) -> Change:
        edit = add(target, strength, where)
        return edit if gate is None else Gated(edit, gate)

    def outcome(target: Target, strength: float) -> float:
        with steered(model, push(target, strength)):
            return float(behaviour.outcomes(model).mean())

    def costs(edits: Sequence[tuple[Target, float]]) -> list[float]:
        asked: dict[Hashable, Sequence[Change]] = {
            i: [push(target, by)] for i, (target, by) in enumerate(edits)
        }
        found = text_costs(model, text, asked)
        return [found[i].worst for i in range(len(edits))]

    least = [(each.target, *_least(partial(outcome, each.target), each.strength)) for each in tried]
    priced = costs([(target, strength) for target, strength, _ in least])
    trials = [
        _Trial(target, strength, shown, cost, rank)
        for rank, ((target, strength, shown), cost) in enumerate(zip(least, priced, strict=True))
    ]
    enough = [t for t in trials if t.outcome >= ENOUGH and t.cost <= budget]
    if enough:
        best = min(enough, key=lambda t: (t.cost, t.rank))
    else:
        best = max(
            (_within(trial, budget, outcome) for trial in trials),
            key=lambda t: (t.outcome, -t.cost, -t.rank),
        )
    return _with_room(best, budget, outcome, costs)


def _least(outcome: Callable[[float], float], first: float) -> tuple[float, float]:
    """The least strength found to show a behaviour as much as the best one tried, or `ENOUGH`; and
    how much it shows there."""
    strength, shown = max(
        ((by, outcome(by)) for by in (first / 1.5, first, first * 1.5)),
        key=lambda pair: (pair[1], -pair[0]),
    )
    for _ in range(_STEPS):
        weaker = outcome(strength / STEP)
        if weaker < min(shown, ENOUGH):
            break
        strength, shown = strength / STEP, weaker
    return strength, shown


def _within(trial: _Trial, budget: float, outcome: Callable[[Target, float], float]) -> _Trial:
    """The trial, made weaker where it costs more than the budget; the cost grows with the square
    of the strength."""
    if trial.cost <= budget:
        return trial
    strength = trial.strength * math.sqrt(0.95 * budget / trial.cost)
    shown = outcome(trial.target, strength)
    return _Trial(trial.target, strength, shown, 0.95 * budget, trial.rank)


def _with_room(
    trial: _Trial,
    budget: float,
    outcome: Callable[[Target, float], float],
    costs: Callable[[Sequence[tuple[Target, float]]], list[float]],
) -> Chosen:
    """The trial at the strength near its own that shows the behaviour most within the budget."""
    strengths = [share * trial.strength for share in ROOM]
    priced = costs([(trial.target, strength) for strength in strengths])
    fits = [(s, cost) for s, cost in zip(strengths, priced, strict=True) if cost <= budget]
    if not fits:
        return Chosen(trial.target, Found(0.0, outcome(trial.target, 0.0), 0.0), trial.rank)
    found = [Found(s, outcome(trial.target, s), cost) for s, cost in fits]
    return Chosen(trial.target, max(found, key=lambda f: (f.outcome, f.strength)), trial.rank)
