"""SIIT: models trained so that given parts compute given variables, and all others do nothing.

Strict interchange intervention training (Gupta et al. 2024, "InterpBench", section 3): swapping
what the part of a variable writes for what it wrote on another prompt must change the answer as
swapping the variable does in the program, and swapping any other part must change nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.circuits.known.case import Case, trained_case
from tomogram.circuits.known.small import Size, read
from tomogram.models.capture import Intervention
from tomogram.models.model import Model, Run
from tomogram.models.sites import Site

SIZE = Size(vocabulary=12, context=8, width=64, heads=4, layers=2, hidden=256)
BACK = 2
"""How far back programs look; at the first places there is no answer."""
ANSWERS = 4
_KIND = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2, 3])
_TURN = torch.tensor([3, 1, 0, 2, 1, 0, 3, 2, 2, 3, 1, 0])
ANSWER = "answer"

Values = dict[str, Int[Tensor, "batch pos"]]


@dataclass(frozen=True)
class Program:
    """A causal model over tokens and the parts of the transformer that are to compute it.

    Args:
        parts: the writer (`a0.h1`, `m0`) that holds each variable; `answer` is the last one.
        compute: the variables of some tokens, place by place, where the given ones are forced.
        edges: through which of the model's edges the program runs.
    """

    name: str
    parts: Mapping[str, str]
    compute: Callable[[Int[Tensor, "batch pos"], Mapping[str, Tensor]], Values]
    edges: tuple[str, ...]


def _earlier(values: Int[Tensor, "batch pos"]) -> Int[Tensor, "batch pos"]:
    return values.roll(BACK, 1)


def _class_then_move(tokens: Int[Tensor, "batch pos"], forced: Mapping[str, Tensor]) -> Values:
    """The class of every token, moved two places on, and turned by the token there."""
    kind = forced.get("kind", _KIND[tokens])
    moved = forced.get("moved", _earlier(kind))
    said = forced.get(ANSWER, (moved + _TURN[tokens]) % ANSWERS)
    return {"kind": kind, "moved": moved, ANSWER: said}


def _move_then_class(tokens: Int[Tensor, "batch pos"], forced: Mapping[str, Tensor]) -> Values:
    """Every token moved two places on, its class, and that turned by the token there."""
    moved = forced.get("moved", _earlier(tokens))
    kind = forced.get("kind", _KIND[moved])
    said = forced.get(ANSWER, (kind + _TURN[tokens]) % ANSWERS)
    return {"moved": moved, "kind": kind, ANSWER: said}


PROGRAMS: dict[str, Program] = {
    each.name: each
    for each in (
        Program(
            "siit-class-move",
            {"kind": "m0", "moved": "a1.h2", ANSWER: "m1"},
            _class_then_move,
            ("input->m0", "m0->a1.h2<v>", "a1.h2->m1", "input->m1", "m1->logits"),
        ),
        Program(
            "siit-move-class",
            {"moved": "a0.h1", "kind": "m0", ANSWER: "m1"},
            _move_then_class,
            ("input->a0.h1<v>", "a0.h1->m0", "m0->m1", "input->m1", "m1->logits"),
        ),
    )
}


def all_parts() -> tuple[str, ...]:
    """Every head and MLP of the models."""
    layers = range(SIZE.layers)
    heads = [f"a{layer}.h{head}" for layer in layers for head in range(SIZE.heads)]
    return (*heads, *(f"m{layer}" for layer in layers))


def idle_parts(program: Program) -> tuple[str, ...]:
    """The parts that hold no variable."""
    return tuple(part for part in all_parts() if part not in program.parts.values())


def sites() -> tuple[Site, ...]:
    """Where the parts' outputs are captured and swapped."""
    return tuple(
        Site(kind, layer) for layer in range(SIZE.layers) for kind in ("head_z", "mlp_out")
    )


def swapped(source: Run, parts: Mapping[str, Iterable[int]]) -> dict[Site, Intervention]:
    """Interventions that give parts what they wrote in another run, in some rows of the batch.

    Args:
        source: a run that captured `sites`, with as many rows.
        parts: by part, the rows in which it is swapped.
    """
    by_site: dict[Site, list[tuple[int | None, list[int]]]] = {}
    for part, rows in parts.items():
        name, _, head = part.partition(".")
        site = Site("head_z" if head else "mlp_out", int(name[1:]))
        by_site.setdefault(site, []).append((int(head[1:]) if head else None, list(rows)))

    def at(site: Site, swaps: list[tuple[int | None, list[int]]]) -> Intervention:
        def change(value: Tensor) -> Tensor:
            other = source[site]
            for head, rows in swaps:
                if head is None:
                    value[rows] = other[rows]
                else:
                    value[rows, :, head] = other[rows, :, head]
            return value

        return change

    return {site: at(site, swaps) for site, swaps in by_site.items()}


def asked(logits: Float[Tensor, "batch pos token"]) -> Float[Tensor, "batch place answer"]:
    """The logits of the answers, at the places that have one."""
    return logits[:, BACK:, :ANSWERS]


@torch.no_grad()
def accuracies(
    model: Model, program: Program, *, rows: int = 512, seed: int = 1
) -> dict[str, float]:
    """Share of right answers: as it is, with a variable interchanged, with idle parts swapped."""
    generator = torch.Generator().manual_seed(seed)
    base, other = (
        torch.randint(SIZE.vocabulary, (rows, SIZE.context), generator=generator) for _ in range(2)
    )
    source = model.run(other, capture=sites())
    variables = program.compute(other, {})

    def right(parts: Iterable[str], forced: Mapping[str, Tensor]) -> float:
        swaps = swapped(source, dict.fromkeys(parts, range(rows)))
        logits = model.run(base, interventions=swaps).logits
        assert logits is not None
        said = program.compute(base, forced)[ANSWER][:, BACK:]
        return float((asked(logits).argmax(-1) == said).float().mean())

    found = {"as it is": right((), {})}
    for variable, part in program.parts.items():
        found[f"{variable} interchanged"] = right((part,), {variable: variables[variable]})
    for part in idle_parts(program):
        found[f"{part} swapped"] = right((part,), {})
    found["all idle parts swapped"] = right(idle_parts(program), {})
    return found


def drawn(rng: random.Random) -> tuple[int, ...]:
    """Random tokens."""
    return tuple(rng.randrange(SIZE.vocabulary) for _ in range(rng.randint(BACK + 2, SIZE.context)))


def cases(*, pairs: int = 32, seed: int = 0) -> tuple[Case, ...]:
    """Every trained program as a case."""
    return tuple(
        trained_case(name, "siit", read(name), drawn, pairs=pairs, seed=seed) for name in PROGRAMS
    )
