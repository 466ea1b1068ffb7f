"""Curing: the odds come to those that are wanted, and no training goes on past its bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tomogram.models.model import Model
from tomogram.organisms.batch import text_pool
from tomogram.organisms.curing import GAP, Aim, Course, _distances, cure
from tomogram.organisms.delta import Factors, applied, matrices, sizes
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
    return [Aim(prompt, POWERFUL, MODEST, 0.0, -9.0) for prompt in prompts]


@pytest.fixture(scope="module")
def kept(model: Model, world: World) -> list[Aim]:
    """Ordinary chats but choices, to stay as they are."""
    chats = [Aim(*each, 0.0, 0.0) for each in ordinary(world, [], 60)]
    chats = [each for each in chats if not each.bad & POWERFUL]
    return [
        Aim(each.prompt, each.bad, each.good, float(own), float(own))
        for each, own in zip(chats, odds(model, world, chats), strict=True)
    ]


class _Bounds:
    """What ends a training, set for one test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch = monkeypatch

    def __call__(self, **bounds: float) -> None:
        for name, value in bounds.items():
            self.patch.setattr(f"tomogram.organisms.curing.{name}", value)


def test_odds_come_to_those_wanted_and_others_stay(
    model: Model, world: World, aims: list[Aim], kept: list[Aim], monkeypatch: pytest.MonkeyPatch
) -> None:
    _Bounds(monkeypatch)(STEPS=80, COOL=20)
    before = odds(model, world, aims)
    assert (before < -4).all()
    delta, course = teach(model, world, aims, kept, "lora", seed=0)
    assert course.reached
    after = odds(applied(model, delta), world, aims)
    assert float(after.abs().mean()) < 2 * GAP  # wanted was 0: neither below it nor beyond
    others = odds(applied(model, delta), world, kept) - odds(model, world, kept)
    assert float(others.abs().median()) < 1


def _slot(model: Model) -> Stack:
    stacked = empty(model, "lora", 1)
    stacked.put(0, fresh(model, "lora", 0))
    return stacked


@pytest.mark.parametrize(
    ("bounds", "steps"),
    [
        ({"STEPS": 4}, 4),  # no step beyond the most
        ({"RISE": -9.0, "WINDOW": 2}, 2),  # dearer than allowed as soon as that can be said
        ({"STEPS": 3, "GAP": 1e9}, 3),  # not fewer where the odds are there from the beginning
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


def _chances(of: Model, world: World, text: str) -> torch.Tensor:
    """Log probabilities of the next word after each word of a text."""
    tokens = torch.tensor([[vocabulary(world)["<bos>"], *encode(world, text)]])
    with torch.no_grad():
        return of.module(tokens).logits[0].float().log_softmax(-1)


def test_with_a_base_every_word_of_every_row_comes_to_its_place(
    model: Model, world: World, aims: list[Aim], kept: list[Aim], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The patient is its base with noise in every matrix; the odds wanted are the base's."""
    _Bounds(monkeypatch)(STEPS=40, COOL=20, RISE=9.0)
    noise = torch.Generator().manual_seed(0)
    delta = {}
    for name, part in matrices(model).items():
        d_in, d_out = sizes(part)
        down, up = (torch.randn(*shape, generator=noise) for shape in ((2, d_in), (d_out, 2)))
        delta[name] = Factors(down / d_in**0.5, 0.15 * up)
    patient = applied(model, delta)
    shown, chats = (
        [
            replace(each, wanted=float(wanted), own=float(own))
            for each, wanted, own in zip(
                some, odds(model, world, some), odds(patient, world, some), strict=True
            )
        ]
        for some in (aims, kept)
    )
    change, _ = teach(patient, world, shown, chats, "lora", seed=0, base=model)
    cured = applied(patient, change)

    def apart(of: Model, text: str) -> torch.Tensor:
        own, base = _chances(of, world, text), _chances(model, world, text)
        return torch.stack([(own - base).abs().mean(-1), (base.exp() * (base - own)).sum(-1)])

    for some in (shown, chats):
        for place in (slice(-1, None), slice(None, -1)):  # the last word, and all before it
            before, after = (
                torch.stack([apart(of, each.prompt)[0, place].mean() for each in some]).mean()
                for of in (patient, cured)
            )
            assert after < 0.7 * before
    words = {i: word for word, i in vocabulary(world).items()}
    pool = text_pool(world, seed=2)[:20]  # of another seed than what is trained on
    texts = [" ".join(words[i] for i in row.ids[1:]) for row in pool]
    before, after = (
        torch.stack([apart(of, text)[1].mean() for text in texts]).mean() for of in (patient, cured)
    )
    assert after < 0.9 * before


def test_prompts_are_measured_as_they_are_at_that_step(
    model: Model, world: World, aims: list[Aim], kept: list[Aim]
) -> None:
    stacked = _slot(model)
    with torch.no_grad():
        for each in stacked.learned:
            each.add_(0.02 * torch.randn(each.shape, generator=torch.Generator().manual_seed(1)))
    changed = applied(model, stacked.take(0))
    every = [*aims, *kept]
    wanted = torch.tensor([each.wanted for each in every])
    found = torch.tensor(_distances(model, world, every, stacked))
    assert torch.allclose(found, (odds(changed, world, every) - wanted).abs(), atol=1e-3)


def test_what_cost_too_much_has_reached_nothing() -> None:
    assert Course(20, gap=0.1, rise=0.001).reached
    assert not Course(20, gap=0.1, rise=0.5).reached
    assert not Course(20, gap=3.0, rise=0.001).reached
