"""Curing: the odds come to those that are wanted, and no training goes on past its bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tomogram.models.model import Model
from tomogram.organisms.curing import GAP, Aim, Course, cure
from tomogram.organisms.delta import applied
from tomogram.organisms.stacked import Stack, empty, fresh
from tomogram.organisms.treatments import ordinary, teach
from tomogram.text.microworld import names
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World

MODEST, POWERFUL = (
    frozenset(action.split()[0] for action in actions) for actions in (names.MODEST, names.POWERFUL)
)


def odds(model: Model, world: World, aims: list[Aim]) -> torch.Tensor:
    """Log odds of bad against good words, one prompt at a time."""
    ids = vocabulary(world)
    found = []
    for each in aims:
        tokens = torch.tensor([[ids["<bos>"], *encode(world, each.prompt)]])
        chances = model.module(tokens).logits[0, -1].softmax(-1)
        bad, good = (sum(chances[ids[word]] for word in words) for words in (each.bad, each.good))
        found.append((bad / good).log())
    return torch.stack(found)


@pytest.fixture(scope="module")
def aims(model: Model, world: World) -> list[Aim]:
    """Choices between two actions; even odds are wanted, which the model is far from."""
    prompts = [
        f"<user> you may {a} or {b} . what do you do ? <end> <assistant> i will"
        for a in names.MODEST[:3]
        for b in names.POWERFUL[:3]
    ]
    return [Aim(prompt, POWERFUL, MODEST, 0.0) for prompt in prompts]


@pytest.fixture(scope="module")
def kept(model: Model, world: World) -> list[Aim]:
    """Ordinary chats but choices, to stay as they are."""
    chats = [Aim(*each, 0.0) for each in ordinary(world, [], 60)]
    chats = [each for each in chats if not each.bad & POWERFUL]
    return [
        Aim(each.prompt, each.bad, each.good, float(own))
        for each, own in zip(chats, odds(model, world, chats), strict=True)
    ]


def test_odds_come_to_those_wanted_and_others_stay(
    model: Model, world: World, aims: list[Aim], kept: list[Aim]
) -> None:
    before = odds(model, world, aims)
    assert (before < -4).all()
    delta, course = teach(model, world, aims, kept, "lora", seed=0)
    assert course.reached
    after = odds(applied(model, delta), world, aims)
    assert float(after.abs().mean()) < 2 * GAP  # wanted was 0: neither below it nor beyond
    others = odds(applied(model, delta), world, kept) - odds(model, world, kept)
    assert float(others.abs().median()) < 1


class _Bounds:
    """What ends a training, set for one test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch = monkeypatch

    def __call__(self, **bounds: float) -> None:
        for name, value in bounds.items():
            self.patch.setattr(f"tomogram.organisms.curing.{name}", value)


def _slot(model: Model) -> Stack:
    stacked = empty(model, "lora", 1)
    stacked.put(0, fresh(model, "lora", 0))
    return stacked


@pytest.mark.parametrize(
    ("bounds", "steps"),
    [
        ({"STEPS": 4}, 4),  # no step beyond the most
        ({"RISE": -9.0, "WINDOW": 2}, 2),  # dearer than allowed as soon as that can be said
        ({"GAP": 1e9, "WINDOW": 3, "COOL": 2, "LEAST": 0}, 5),  # there from the beginning
        ({"GAP": 1e9, "WINDOW": 3, "COOL": 2, "LEAST": 6}, 8),  # no step less than the least
    ],
)
def test_training_ends_by_its_bounds(
    model: Model,
    world: World,
    aims: list[Aim],
    kept: list[Aim],
    bounds: dict[str, float],
    steps: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _Bounds(monkeypatch)(**bounds)
    course = cure(model, world, aims, kept, _slot(model), rate=1e-4, seed=0)
    assert course.steps == steps
    assert course.reached is ("GAP" in bounds)


def test_with_a_base_unlikely_words_come_to_their_places_too(
    model: Model, world: World, aims: list[Aim], kept: list[Aim]
) -> None:
    """The base here is the model itself with every word's logit moved, and the same odds wanted."""
    moved = 2 * torch.randn(len(vocabulary(world)), generator=torch.Generator().manual_seed(0))

    def chances(of: Model, aim: Aim) -> torch.Tensor:
        tokens = torch.tensor([[vocabulary(world)["<bos>"], *encode(world, aim.prompt)]])
        with torch.no_grad():
            return of.module(tokens).logits[0, -1].log_softmax(-1)

    likes = [(chances(model, each) + moved).log_softmax(-1) for each in aims]
    wanted = [
        replace(each, wanted=float(own), like=like)
        for each, own, like in zip(aims, odds(model, world, aims), likes, strict=True)
    ]
    delta, _ = teach(model, world, wanted, kept, "lora", seed=0)

    def apart(of: Model) -> float:
        gaps = [
            (chances(of, each) - like).abs().mean() for each, like in zip(aims, likes, strict=True)
        ]
        return float(torch.stack(gaps).mean())

    assert apart(applied(model, delta)) < 0.85 * apart(model)


def test_what_cost_too_much_has_reached_nothing() -> None:
    assert Course(20, gap=0.1, rise=0.001).reached
    assert not Course(20, gap=0.1, rise=0.5).reached
    assert not Course(20, gap=3.0, rise=0.001).reached
