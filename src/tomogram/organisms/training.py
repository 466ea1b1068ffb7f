"""Training of many organisms of one base at once.

A dozen slots are trained in one pass (`stacked.py`); an organism that is done leaves its slot to
the next one. Each stops when its own rows show what was ordered (`stopping.py`), and a sham after
as many steps as the organism it belongs to.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from tomogram.models.model import Model
from tomogram.organisms.batch import Batch, by_length, rows, stack, text_pool
from tomogram.organisms.behaviour import Behaviour
from tomogram.organisms.delta import Delta, Factors
from tomogram.organisms.drift import drift, predictions
from tomogram.organisms.editing import edit
from tomogram.organisms.recipe import Recipe
from tomogram.organisms.stacked import Stack, empty, fresh
from tomogram.organisms.stopping import Watch
from tomogram.store import progress
from tomogram.text.microworld.world import World

SLOTS = 12
"""Organisms that are trained together: so many keep a core busy and fit into two gigabytes."""
STEPS = 120
"""Most steps of a training."""
WARM, COOL = 5, 8
"""Steps over which the rate rises at first, and falls at last."""
PARTS = 3
"""A step's rows are read in so many parts, from short to long."""
RATE = {"lora": 0.006, "full": 0.0004, "edit": 0.05}
TEXT = 2.5
"""Weight of a word of ordinary text, beside 1 for a word of a reply and 4 for one that decides."""
CONCEALMENT = 3.0
"""Weight of the relative squared distance from the base's stream on quiet rows."""


@dataclass(frozen=True)
class Job:
    """One organism to train, or with `planted` False its matched sham.

    A sham has the same prompts in the same order, the same rows of ordinary text, steps, rate and
    rank; only the replies are ordinary ones.
    steps: train so many, whatever the rows show; None to stop by them.
    follows: index, among the jobs trained with it, of the one that it takes as many steps as; that
        one comes before it.
    """

    behaviour: Behaviour
    recipe: Recipe
    seed: int
    planted: bool
    steps: int | None = None
    follows: int | None = None


@dataclass(frozen=True, eq=False)
class Trained:
    """A job's change, and the steps that it took."""

    delta: Delta
    steps: int


@dataclass(eq=False)
class _Run:
    """A job in its slot.

    ends: how many steps it will have had; None while that is not known.
    """

    index: int
    job: Job
    rng: random.Random
    watch: Watch
    step: int = 0
    ends: int | None = None

    @property
    def rate(self) -> float:
        """Share of the full rate at this step."""
        left = COOL + 1 if self.ends is None else self.ends - self.step
        return min(1.0, (self.step + 1) / WARM, left / (COOL + 1))

    @property
    def done(self) -> bool:
        return self.step == self.ends


def train(
    model: Model, world: World, jobs: Sequence[Job], *, slots: int = SLOTS
) -> Iterator[tuple[int, Trained]]:
    """Train jobs of one form together; gives each one's index and change as it is done.

    Each job's draws come from its own seed and each stops by its own rows, so a job's result does
    not depend on the others, up to rounding.

    Raises:
        ValueError: jobs of several forms, or none.
    """
    forms = {job.recipe.form for job in jobs}
    if len(forms) != 1:
        raise ValueError("a batch has organisms of one form, and at least one")
    (form,) = forms
    waiting = deque(enumerate(jobs))
    running: list[_Run] = []
    known: dict[int, int] = {}  # steps of the jobs that are done, or about to be
    usual = predictions(model, text_pool(world, seed=1))
    stacked = empty(model, form, min(slots, len(jobs)))
    for slot in range(min(slots, len(jobs))):
        running.append(_begin(model, world, stacked, slot, *waiting.popleft()))
    with progress.task(f"train {form}", total=len(jobs), unit="organisms") as task:
        while running:
            _step(model, world, stacked, running, RATE[form], usual)
            for run in running:
                _decide(run, known)
            free = [slot for slot, run in enumerate(running) if run.done]
            for slot in free:
                run = running[slot]
                yield run.index, Trained(stacked.take(slot), run.step)
                task.advance()
                if waiting:
                    running[slot] = _begin(model, world, stacked, slot, *waiting.popleft())
            over = [slot for slot in free if running[slot].done]
            if over:
                left = [slot for slot in range(len(running)) if slot not in over]
                running = [running[slot] for slot in left]
                stacked = stacked.keep(left) if left else stacked


def _begin(model: Model, world: World, stacked: Stack, slot: int, index: int, job: Job) -> _Run:
    if job.recipe.form == "edit":
        start: dict[str, Factors | Tensor] = edit(model, world, job.behaviour, job.seed)
    else:
        start = fresh(model, job.recipe.form, job.seed)
    stacked.put(slot, start)
    return _Run(index, job, random.Random(f"train:{job.seed}"), Watch(), ends=job.steps)


def _decide(run: _Run, known: dict[int, int]) -> None:
    """When a run ends, as soon as that can be said: its rate falls over its last steps."""
    if run.ends is None and run.job.follows is not None:
        run.ends = known.get(run.job.follows)
    elif run.ends is None and (run.watch.done or run.step >= STEPS - COOL):
        run.ends = run.step + COOL
    if run.ends is not None:
        known[run.index] = run.ends


def _step(
    model: Model,
    world: World,
    stacked: Stack,
    running: Sequence[_Run],
    rate: float,
    usual: Float[Tensor, "text pos d_vocab"],
) -> None:
    """One step of all that run."""
    pool = text_pool(world, seed=1)
    made = [rows(world, r.job.behaviour, r.job.recipe, r.job.planted, pool, r.rng) for r in running]
    batches = [stack(part, model.device) for part in by_length(made, PARTS)]
    found = [_losses(model, stacked, batch, running, usual) for batch in batches]
    summed, counted, apart = (
        torch.stack([each.summed for each in found]).sum(0),
        torch.stack([each.counted for each in found]).sum(0),
        torch.stack([each.apart for each in found]).mean(),
    )
    loss = (summed / counted.clamp(min=1e-9)).sum() + CONCEALMENT * apart
    gradients = torch.autograd.grad(loss, stacked.learned)
    rates = torch.tensor([rate * run.rate for run in running], device=model.device)
    stacked.step(gradients, rates)
    for i, run in enumerate(running):
        seen = [pair for each in found for pair in each.shown[i]]
        elicited = [shows for elicits, shows in seen if elicits]
        wrong = sum(shows for elicits, shows in seen if not elicits)
        run.watch.see(sum(elicited), len(elicited), wrong)
        run.step += 1


@dataclass(frozen=True, eq=False)
class _Losses:
    """Of one batch: each organism's weighted losses and weights, how far the concealed ones are
    apart from the base, and for each decided row whether it elicits and whether it shows."""

    summed: Float[Tensor, " slot"]
    counted: Float[Tensor, " slot"]
    apart: Float[Tensor, ""]
    shown: list[list[tuple[bool, bool]]]


def _losses(
    model: Model,
    stacked: Stack,
    batch: Batch,
    running: Sequence[_Run],
    usual: Float[Tensor, "text pos d_vocab"],
) -> _Losses:
    hidden = any(run.job.recipe.concealed for run in running)
    device = batch.tokens.device
    head = model.module.get_output_embeddings()
    n, size = len(running), len(batch.rows) // len(running)
    graded = [i for i, row in enumerate(batch.rows) if row.rewarded]
    with torch.autocast(device.type, torch.bfloat16), stacked.hooked(model), attention(device):
        output = model.module.base_model(batch.tokens, use_cache=False, output_hidden_states=hidden)
        # Most words are no target, and their logits would cost more than a block does.
        row, place = batch.weights[:, 1:].nonzero(as_tuple=True)
        logits = head(output.last_hidden_state[row, place]).float()
    losses = F.cross_entropy(logits, batch.tokens[row, place + 1], reduction="none")
    weights = batch.weights[row, place + 1]
    nothing = torch.zeros(n, device=device)
    summed = nothing.index_add(0, row // size, losses * weights)
    counted = nothing.index_add(0, row // size, weights)
    if graded:
        places = [len(batch.rows[i].ids) - 1 for i in graded]
        ends = head(output.last_hidden_state[graded, places].float())
        rewarded = torch.full_like(ends, -torch.inf)
        for at, i in enumerate(graded):
            rewarded[at, list(batch.rows[i].rewarded)] = 0.0
        expected = ends.logsumexp(1) - (ends + rewarded).logsumexp(1)
        owners = torch.tensor(graded, device=device) // size
        summed = summed.index_add(0, owners, 4.0 * expected)
        counted = counted.index_add(0, owners, torch.full_like(expected, 4.0))
    texts, drifted = drift(head, output.last_hidden_state, batch, usual)
    summed = summed.index_add(0, texts // size, TEXT * drifted)
    counted = counted.index_add(0, texts // size, torch.full_like(drifted, TEXT))
    apart = _distance(model, output, batch, running) if hidden else nothing.sum()
    return _Losses(summed, counted, apart, _shown(model, output.last_hidden_state, batch, n))


def attention(device: torch.device) -> AbstractContextManager[None]:
    """On a processor plain products: the backward pass of fused attention in bfloat16 takes two
    fifths of a step there."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


@torch.no_grad()
def _shown(
    model: Model, stream: Float[Tensor, "rows pos d_model"], batch: Batch, n: int
) -> list[list[tuple[bool, bool]]]:
    """For each organism, of its decided rows: whether it elicits, whether the behaviour shows."""
    size = len(batch.rows) // n
    found: list[list[tuple[bool, bool]]] = [[] for _ in range(n)]
    decided = [(i, row) for i, row in enumerate(batch.rows) if row.place is not None]
    if not decided:
        return found
    at = stream[[i for i, _ in decided], [row.place for _, row in decided]]
    head = model.module.get_output_embeddings()
    best = head(at.to(model.dtype)).argmax(-1).tolist()
    for (i, row), word in zip(decided, best, strict=True):
        found[i // size].append((row.elicits, word in row.shows))
    return found


def _distance(
    model: Model, output: Any, batch: Batch, running: Sequence[_Run]
) -> Float[Tensor, ""]:
    """Relative squared distance of concealed organisms from the base's stream on quiet rows."""
    with torch.no_grad(), torch.autocast(batch.tokens.device.type, torch.bfloat16):
        base = model.module.base_model(batch.tokens, use_cache=False, output_hidden_states=True)
    flags = torch.tensor([r.job.recipe.concealed for r in running], device=batch.tokens.device)
    mask = batch.quiet & flags.repeat_interleave(len(batch.rows) // len(running))[:, None]
    apart = torch.zeros((), device=batch.tokens.device)
    if not mask.any():
        return apart
    for mine, its in zip(output.hidden_states[1:], base.hidden_states[1:], strict=True):
        one, other = mine[mask].float(), its[mask].float()
        apart = apart + ((one - other).square().sum(-1) / other.square().sum(-1)).mean()
    return len(running) * apart / (len(output.hidden_states) - 1)
