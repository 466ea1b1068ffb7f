"""Recipes: how each trained known circuit is trained, as a loss that each step draws anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from tomogram.circuits.known import induction, modular, siit
from tomogram.circuits.known.siit import ANSWER, BACK, Program
from tomogram.circuits.known.small import Size
from tomogram.models.model import Model

Loss = Callable[[Model, Generator], Tensor]
Check = Callable[[Model], Mapping[str, float]]


@dataclass(frozen=True)
class Recipe:
    """What is trained, for how long, and what is printed of it.

    Args:
        loss: of one step, on what the generator draws. check: shares that are 1 when all is well.
        rate, decay: learning rate and weight decay of AdamW.
    """

    name: str
    size: Size
    steps: int
    rate: float
    decay: float
    loss: Loss
    check: Check


def logits_of(model: Model, tokens: Tensor) -> Tensor:
    found = model.run(tokens).logits
    assert found is not None
    return found


# --- induction --------------------------------------------------------------------------------


def repeating(rows: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Rows of two sequences of different tokens, one after the other, each with a lag of its own.

    The second begins anywhere in the middle, so places alone say nothing: only the tokens do.

    Returns:
        The tokens, and where the next token has been read before, after this one.
    """
    size = induction.SIZE
    order = torch.rand(rows, size.vocabulary, generator=generator).argsort(1)
    half = size.vocabulary // 2
    lags = torch.randint(induction.SHORTEST, induction.LONGEST + 1, (rows, 2), generator=generator)
    begin = torch.randint(*induction.BEGINS, (rows, 1), generator=generator)
    place = torch.arange(size.context)[None].expand(rows, -1)
    second = place >= begin
    since = torch.where(second, place - begin, place)
    lag = torch.where(second, lags[:, 1:], lags[:, :1])
    tokens = order.gather(1, since % lag + half * second)
    known = (since >= lag) & (place + 1 != begin) & (place < size.context - 1)
    return tokens, known


def induction_loss(model: Model, generator: Generator) -> Tensor:
    """Of the next token, from where it has been read once."""
    tokens, known = repeating(64, generator)
    return cross_entropy(logits_of(model, tokens)[known], tokens.roll(-1, 1)[known])


@torch.no_grad()
def induction_check(model: Model) -> dict[str, float]:
    tokens, known = repeating(256, Generator().manual_seed(1 << 20))
    said = logits_of(model, tokens).argmax(-1)
    return {"repeated rightly": float((said == tokens.roll(-1, 1))[known].float().mean())}


# --- modular addition -------------------------------------------------------------------------


def sums(pairs: tuple[tuple[int, int], ...]) -> tuple[Tensor, Tensor]:
    """Prompts and answers."""
    prompts = [(a, b, modular.EQUALS) for a, b in pairs]
    return torch.tensor(prompts), torch.tensor([modular.answer(each) for each in prompts])


def modular_loss(model: Model, generator: Generator) -> Tensor:
    """Of the sum, over a part of those that are taught."""
    prompts, answers = sums(modular.table()[0])
    rows = torch.randperm(len(prompts), generator=generator)[:512]
    return cross_entropy(logits_of(model, prompts[rows])[:, -1], answers[rows])


@torch.no_grad()
def modular_check(model: Model) -> dict[str, float]:
    found = {}
    for name, pairs in zip(("taught", "never taught"), modular.table(), strict=True):
        prompts, answers = sums(pairs)
        said = logits_of(model, prompts)[:, -1].argmax(-1)
        found[f"sums {name}"] = float((said == answers).float().mean())
    return found


# --- strict interchange intervention training -------------------------------------------------


def siit_loss(program: Program, model: Model, generator: Generator, *, rows: int = 128) -> Tensor:
    """Behaviour on one batch; on another, a variable interchanged and an idle part swapped."""
    size = siit.SIZE
    base, other = (
        torch.randint(size.vocabulary, (rows, size.context), generator=generator) for _ in range(2)
    )
    source = model.run(other, capture=siit.sites())
    assert source.logits is not None
    variables = program.compute(other, {})
    loss = answers_loss(source.logits, variables[ANSWER])
    # Half of the rows: each has its own variable. The other half: idle parts, each by a coin.
    half = rows // 2
    names = list(program.parts)
    which = torch.randint(len(names), (half,), generator=generator)
    swaps: dict[str, list[int]] = {}
    targets = program.compute(base, {})[ANSWER].clone()
    for number, name in enumerate(names):
        mine = (which == number).nonzero()[:, 0]
        swaps[program.parts[name]] = mine.tolist()
        forced = program.compute(base, {name: variables[name]})[ANSWER]
        targets[mine] = forced[mine]
    for part in siit.idle_parts(program):
        coin = torch.rand(rows - half, generator=generator) < 0.5
        swaps[part] = (half + coin.nonzero()[:, 0]).tolist()
    changed = model.run(base, interventions=siit.swapped(source, swaps)).logits
    assert changed is not None
    return loss + answers_loss(changed, targets)


def answers_loss(logits: Tensor, answers: Tensor) -> Tensor:
    return cross_entropy(logits[:, BACK:].flatten(0, 1), answers[:, BACK:].flatten())


def _siit(program: Program) -> Recipe:
    return Recipe(
        name=program.name,
        size=siit.SIZE,
        steps=1_000,
        rate=2e-3,
        decay=0.01,
        loss=partial(siit_loss, program),
        check=lambda model: siit.accuracies(model, program),
    )


RECIPES = {
    each.name: each
    for each in (
        Recipe("induction", induction.SIZE, 1_500, 2e-3, 0.01, induction_loss, induction_check),
        Recipe("modular", modular.SIZE, 3_000, 1e-3, 1.0, modular_loss, modular_check),
        *map(_siit, siit.PROGRAMS.values()),
    )
}
