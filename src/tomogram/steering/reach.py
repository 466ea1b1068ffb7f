"""Reach: how far strong pushes along many vectors bring a behaviour, on a few prompts.

A gradient tells what a small push does. Whether a behaviour turns is told by a push as long as the
stream itself: a feature that rewrites what the model is about to say ranks low where nothing has
changed yet, because the softmax is flat there. So many vectors are pushed at several lengths, side
by side in one batch, each on the prompts' own streams from the site on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.models.start import Start
from tomogram.steering.behaviours import Says, continued
from tomogram.steering.contrast import by_length
from tomogram.steering.positions import Pass, Where
from tomogram.store.errors import TomogramError

LENGTHS = (0.7, 1.5, 3.0)
"""Of a push, in lengths of the stream where it acts."""
PROMPTS = 8
_AT_ONCE = 256
"""Rows of one forward pass."""


@dataclass(frozen=True, eq=False)
class Reach:
    """For each vector what its best push did, and how long that push was.

    outcome: share of the prompts after which the behaviour shows. margin: by how much the likeliest
    accepted token leads the likeliest other one, in nats, mean over prompts, each within ±20.
    length: of the push, in the units of the stream.
    """

    outcome: Float[Tensor, " n"]
    margin: Float[Tensor, " n"]
    length: Float[Tensor, " n"]

    def best(self, n: int) -> list[int]:
        """The vectors that reach furthest, the furthest first: by outcome, then by margin."""
        order = torch.argsort(self.outcome + 1e-3 * self.margin / 20, descending=True, stable=True)
        return [int(i) for i in order[:n]]


@torch.no_grad()
def reached(
    model: Model,
    behaviour: Says,
    site: Site,
    vectors: Float[Tensor, "n d"],
    where: Where,
    *,
    lengths: Sequence[float] = LENGTHS,
    prompts: int = PROMPTS,
) -> Reach:
    """What pushes along vectors do to a behaviour, on some of its prompts.

    The place judged is reached by the model's own greedy tokens, which are held fixed.

    Args:
        site: where the vectors are added. Their own lengths do not matter.
        prompts: how many prompts are tried, evenly from the list.

    Raises:
        TomogramError: the model lacks the site, or the push acts on no token of the prompts.
    """
    model.check_sites([site])
    units = torch.nn.functional.normalize(vectors.float(), dim=1)
    some = [round(i) for i in torch.linspace(0, len(behaviour.prompts) - 1, prompts).tolist()]
    streams = list(_streams(model, behaviour.take(sorted(set(some))), site, where))
    total = sum(len(each.tokens) for each in streams)
    norms = torch.cat([each.norms for each in streams])
    if not len(norms):
        raise TomogramError("The prompts hold no token on which the push acts.")
    length = float(norms.mean())
    outcome = units.new_zeros(len(lengths), len(units))
    margin = units.new_zeros(len(lengths), len(units))
    for number, share in enumerate(lengths):
        for each in streams:
            lead = torch.cat(
                [
                    _leads(model, site, each, share * length * part)
                    for part in units.split(max(1, _AT_ONCE // len(each.tokens)))
                ]
            )
            outcome[number] += (lead > 0).float().sum(1) / total
            margin[number] += lead.clamp(-20, 20).sum(1) / total
    best = (outcome + 1e-3 * margin / 20).argmax(0, keepdim=True)
    own = torch.tensor(lengths).mul(length)[best[0]]
    return Reach(outcome.gather(0, best)[0], margin.gather(0, best)[0], own)


@dataclass(frozen=True, eq=False)
class _Prompts:
    """Prompts of one length, their streams where the push begins, on which tokens it acts, and how
    long the stream is on each of these."""

    tokens: Int[Tensor, "prompts pos"]
    start: Start | None
    acts: Bool[Tensor, "prompts pos"]
    accepted: Bool[Tensor, "prompts d_vocab"]
    norms: Float[Tensor, " acting"]


def _streams(model: Model, behaviour: Says, site: Site, where: Where) -> Iterator[_Prompts]:
    prefix = continued(model, behaviour.prompts, behaviour.place - 1)
    prompts = [[*p, *more] for p, more in zip(behaviour.prompts, prefix, strict=True)]
    # The stream's own length tells how long a push is, also where an MLP or attention writes.
    layer = site.layer or 0
    beside = Site("resid_pre" if site.kind == "resid_pre" else "resid_post", layer)
    before = layer if site.kind == "resid_post" else layer - 1
    for indices in by_length(prompts):
        tokens = torch.tensor([prompts[i] for i in indices])
        positions = torch.arange(tokens.shape[1]).expand(tokens.shape)
        acts = where(Pass(tokens, positions, True))
        wanted = {beside} | ({Site("resid_post", before)} if before >= 0 else set())
        seen = model.run(tokens, capture=wanted, logits=False)
        start = Start(before, seen[Site("resid_post", before)]) if before >= 0 else None
        accepted = torch.zeros(len(indices), model.d_vocab, dtype=torch.bool)
        for row, i in enumerate(indices):
            accepted[row, list(behaviour.accepted[i])] = True
        norms = seen[beside][acts.to(seen[beside].device)].float().norm(dim=-1)
        yield _Prompts(tokens, start, acts, accepted, norms)


def _leads(
    model: Model, site: Site, given: _Prompts, pushes: Float[Tensor, "n d"]
) -> Float[Tensor, "n prompts"]:
    """By how much the likeliest accepted token leads the likeliest other one under each push."""
    n = len(pushes)
    last = Site("resid_post", model.n_layers - 1)
    acts = given.acts[..., None].to(pushes.device)

    def push(value: Tensor) -> Tensor:
        own = value.view(n, *given.acts.shape, -1)
        moved = own.float() + acts * pushes[:, None, None, :].to(own.device)
        return moved.to(value.dtype).view(value.shape)

    start = given.start and Start(given.start.layer, given.start.stream.repeat(n, 1, 1))
    run = model.run(
        given.tokens.repeat(n, 1), capture=(last,), interventions={site: push}, logits=False,
        start=start,
    )  # fmt: skip
    logits = model.unembed(run[last][:, -1]).float().view(n, len(given.tokens), -1)
    accepted = given.accepted.to(logits.device)
    inside, outside = logits.masked_fill(~accepted, -1e30), logits.masked_fill(accepted, -1e30)
    return (inside.amax(-1) - outside.amax(-1)).cpu()
