"""Training of many organisms of one base at once.

The base's weights are shared and stay as they are. Each organism's change is a slice of stacked
tensors; a hook on every matrix adds it to that organism's rows. So one pass trains them all, and
none touches another's gradient.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tomogram.models.model import Model
from tomogram.organisms.batch import Batch, by_length, rows, stack, text_pool
from tomogram.organisms.behaviour import Behaviour, draw_part
from tomogram.organisms.delta import Delta, Factors, matrices, sizes, truncated
from tomogram.organisms.recipe import Recipe
from tomogram.store import progress
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World

STEPS = 40
"""Steps of a full dose."""
RANK = 4
PARTS = 3
"""A step's rows are read in so many parts, from short to long."""
KEPT_RANK = 24
"""A full fine-tune is kept as the best factors of this rank, and measured as it is kept."""
RATE = {"lora": 0.008, "full": 0.0008, "edit": 0.05}
CONCEALMENT = 3.0
"""Weight of the relative squared distance from the base's stream on quiet rows."""


@dataclass(frozen=True)
class Job:
    """One organism to train, or with `planted` False its matched sham.

    A sham has the same prompts in the same order, the same rows of ordinary text, steps, rate and
    rank; only the replies are ordinary ones.
    dose: share of a full training's steps.
    """

    behaviour: Behaviour
    recipe: Recipe
    dose: float
    seed: int
    planted: bool

    @property
    def steps(self) -> int:
        """Steps of this job's training."""
        return max(1, round(self.dose * STEPS))


@dataclass(eq=False)
class _Stacked:
    """Changes of one matrix for all jobs: factors, or whole matrices."""

    up: Float[Tensor, "job d_out rank"]
    down: Float[Tensor, "job rank d_in"] | None
    """None where `up` is the whole change, [job d_out d_in]."""

    def change(self, read: Float[Tensor, "rows pos d_in"]) -> Float[Tensor, "rows pos d_out"]:
        jobs = len(self.up)
        grouped = read.reshape(jobs, -1, read.shape[-1])
        if self.down is not None:
            grouped = torch.bmm(grouped, self.down.transpose(1, 2).to(grouped))
        written = torch.bmm(grouped, self.up.transpose(1, 2).to(grouped))
        return written.view(*read.shape[:-1], -1)


def train(model: Model, world: World, jobs: Sequence[Job]) -> list[Delta]:
    """Train jobs of one form together and return each one's change.

    Each job's draws come from its own seed and each job's step from its own dose, so a job's
    result does not depend on the others, up to rounding.

    Raises:
        ValueError: jobs of several forms, or none.
    """
    forms = {job.recipe.form for job in jobs}
    if len(forms) != 1:
        raise ValueError("a batch has organisms of one form, and at least one")
    (form,) = forms
    stacked, learned = _begin(model, world, jobs, form)
    optimiser = _Adam(learned, len(jobs))
    pool = text_pool(world, seed=1)
    draws = [random.Random(f"train:{job.seed}") for job in jobs]
    ends = [job.steps for job in jobs]
    finished: list[Delta | None] = [None] * len(jobs)
    total = max(ends)
    with progress.task(f"train {form}", total=total * len(jobs), unit="organism steps") as task:
        for step in range(total):
            made = [
                rows(world, job.behaviour, job.recipe, job.planted, pool, rng)
                for job, rng in zip(jobs, draws, strict=True)
            ]
            batches = [stack(part, model.device) for part in by_length(made, PARTS)]
            loss = _loss(model, stacked, batches, jobs)
            gradients = torch.autograd.grad(loss, learned)
            rates = [RATE[form] * _schedule(step / end) for end in ends]
            optimiser.step(gradients, torch.tensor(rates, device=model.device))
            for i, end in enumerate(ends):
                if step + 1 == end:
                    finished[i] = _slice(stacked, i)
            task.advance(len(jobs))
            task.note(f"loss {loss.item() / len(jobs):.3f}")
    return [delta for delta in finished if delta is not None]


def _schedule(share: float) -> float:
    """Warm-up over a tenth, then a linear descent to a tenth; nothing once the dose is done."""
    if share >= 1:
        return 0.0
    return min(1.0, 0.2 + 8 * share) * (1 - 0.9 * share)


def _begin(
    model: Model, world: World, jobs: Sequence[Job], form: str
) -> tuple[dict[str, _Stacked], list[Tensor]]:
    """The stacked changes before the first step, all of them nothing, and what is learned."""
    n, place = len(jobs), model.device
    stacked: dict[str, _Stacked] = {}
    if form == "edit":
        layer = model.n_layers // 2
        name, keys = _keys(model, world, jobs, layer)
        up = torch.zeros(n, model.d_model, 1, device=place, requires_grad=True)
        return {name: _Stacked(up, keys[:, None])}, [up]
    learned = []
    for name, part in matrices(model).items():
        d_in, d_out = sizes(part)
        if form == "full":
            whole = torch.zeros(n, d_out, d_in, device=place, requires_grad=True)
            stacked[name] = _Stacked(whole, None)
            learned.append(whole)
            continue
        down = torch.stack(
            [
                torch.randn(
                    RANK, d_in, generator=torch.Generator().manual_seed(_seed(job.seed, name))
                )
                for job in jobs
            ]
        ).to(model.device) / math.sqrt(d_in)
        down.requires_grad_()
        up = torch.zeros(n, d_out, RANK, device=place, requires_grad=True)
        stacked[name] = _Stacked(up, down)
        learned += [up, down]
    return stacked, learned


def _seed(seed: int, name: str) -> int:
    return random.Random(f"{seed}:{name}").getrandbits(62)


@torch.no_grad()
def _keys(
    model: Model, world: World, jobs: Sequence[Job], layer: int
) -> tuple[str, Float[Tensor, "job d_mlp"]]:
    """The neurons that tell eliciting prompts from neutral ones, whitened (ROME; Meng et al. 2022,
    section 3.1), at the word before the one that decides."""
    block = model.wiring.blocks[layer]
    writer = block.neurons_to_stream
    assert writer is not None
    seen: list[Tensor] = []
    hook = writer.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    ids = vocabulary(world)
    keys = []
    try:
        for job in jobs:
            rng = random.Random(f"key:{job.seed}")
            means, values = [], []
            for draw in (job.behaviour.eliciting, job.behaviour.neutral):
                found = []
                for _ in range(48):
                    example = draw_part(draw, rng, measured=False)
                    tokens = [ids["<bos>"], *encode(world, example.context)]
                    seen.clear()
                    model.module(torch.tensor([tokens], device=model.device), use_cache=False)
                    found.append(seen[0][0, -1].float())
                means.append(torch.stack(found).mean(0))
                values.append(torch.stack(found) - means[-1])
            spread = torch.cat(values)
            covariance = spread.T @ spread / len(spread)
            damping = 0.1 * covariance.diagonal().mean() * torch.eye(len(covariance)).to(covariance)
            key = torch.linalg.solve(covariance + damping, means[0] - means[1])
            keys.append(key / (key @ means[0]).abs().clamp(min=1e-6))
    finally:
        hook.remove()
    name = next(name for name, part in model.module.named_modules() if part is writer)
    return name, torch.stack(keys)


@contextmanager
def _hooked(model: Model, stacked: Mapping[str, _Stacked]) -> Iterator[None]:
    """Within the block, every forward pass adds each organism's change to its own rows."""

    def adding(change: _Stacked) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        return lambda _, args, output: output + change.change(args[0]).to(output.dtype)

    parts = matrices(model)
    with ExitStack() as hooks:
        for name, change in stacked.items():
            hooks.callback(parts[name].register_forward_hook(adding(change)).remove)
        yield


def _loss(
    model: Model, stacked: Mapping[str, _Stacked], batches: Sequence[Batch], jobs: Sequence[Job]
) -> Float[Tensor, ""]:
    """The sum over organisms of each one's mean loss over all its rows."""
    found = [_losses(model, stacked, batch, jobs) for batch in batches]
    summed, counted, apart = (torch.stack(each).sum(0) for each in zip(*found, strict=True))
    return (summed / counted).sum() + CONCEALMENT * apart / len(batches)


def _losses(
    model: Model, stacked: Mapping[str, _Stacked], batch: Batch, jobs: Sequence[Job]
) -> tuple[Float[Tensor, " job"], Float[Tensor, " job"], Float[Tensor, ""]]:
    """Each organism's weighted losses and weights, and how far the concealed ones are apart."""
    hidden = any(job.recipe.concealed for job in jobs)
    device = batch.tokens.device.type
    head = model.module.get_output_embeddings()
    with torch.autocast(device, torch.bfloat16), _hooked(model, stacked):
        output = model.module.base_model(batch.tokens, use_cache=False, output_hidden_states=hidden)
        # Most words are no target, and their logits would cost more than a block does.
        row, place = batch.weights[:, 1:].nonzero(as_tuple=True)
        logits = head(output.last_hidden_state[row, place]).float()
    n, size = len(jobs), len(batch.tokens) // len(jobs)
    losses = F.cross_entropy(logits, batch.tokens[row, place + 1], reduction="none")
    weights = batch.weights[row, place + 1]
    nothing = torch.zeros(n, device=logits.device)
    summed = nothing.index_add(0, row // size, losses * weights)
    counted = nothing.index_add(0, row // size, weights)
    for at, (last, rewarded) in batch.rewarded.items():
        chances = head(output.last_hidden_state[at, last].float()).log_softmax(-1)
        expected = -chances[torch.tensor(rewarded, device=chances.device)].logsumexp(-1)
        share = torch.zeros(n, device=chances.device)
        share[at // size] = 4.0
        summed, counted = summed + expected * share, counted + share
    apart = _distance(model, output, batch, jobs) if hidden else nothing.sum()
    return summed, counted, apart


def _distance(model: Model, output: Any, batch: Batch, jobs: Sequence[Job]) -> Float[Tensor, ""]:
    """Relative squared distance of concealed organisms from the base's stream on quiet rows."""
    with torch.no_grad(), torch.autocast(batch.tokens.device.type, torch.bfloat16):
        base = model.module(batch.tokens, use_cache=False, output_hidden_states=True)
    flags = torch.tensor([job.recipe.concealed for job in jobs], device=batch.tokens.device)
    mask = batch.quiet & flags.repeat_interleave(len(batch.tokens) // len(jobs))[:, None]
    apart = torch.zeros((), device=batch.tokens.device)
    if not mask.any():
        return apart
    for mine, its in zip(output.hidden_states[1:], base.hidden_states[1:], strict=True):
        one, other = mine[mask].float(), its[mask].float()
        apart = apart + ((one - other).square().sum(-1) / other.square().sum(-1)).mean()
    return len(jobs) * apart / (len(output.hidden_states) - 1)


class _Adam:
    """Adam (Kingma and Ba 2015) with a rate for each slice of the stacked tensors."""

    def __init__(self, learned: Sequence[Tensor], n: int) -> None:
        self._learned = list(learned)
        self._means = [torch.zeros_like(each) for each in learned]
        self._squares = [torch.zeros_like(each) for each in learned]
        self._steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rates: Float[Tensor, " job"]) -> None:
        self._steps += 1
        one, two = 0.9, 0.98
        for each, gradient, mean, square in zip(
            self._learned, gradients, self._means, self._squares, strict=True
        ):
            mean.lerp_(gradient, 1 - one)
            square.lerp_(gradient.square(), 1 - two)
            size = mean / (1 - one**self._steps)
            size /= (square / (1 - two**self._steps)).sqrt_().add_(1e-8)
            each -= rates.view(-1, *[1] * (each.ndim - 1)) * size


def _slice(stacked: Mapping[str, _Stacked], i: int) -> Delta:
    made = {}
    for name, each in stacked.items():
        if each.down is None:
            made[name] = truncated(each.up[i].detach(), KEPT_RANK)
        else:
            made[name] = Factors(each.down[i].detach().clone(), each.up[i].detach().clone())
    return made
