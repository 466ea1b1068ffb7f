"""Locating: does repairing one place change the behaviour more than 99 random repairs do?

A place is what one part of one block (attention or MLP) writes at the last word. The stream itself
is no place: moved to the base's stream after the last block, it gives the base's answer whatever is
wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tomogram.audits.audit import Measurement
from tomogram.audits.contrast import Contrast, odds
from tomogram.audits.payload_scan import questions
from tomogram.audits.subject import Subject
from tomogram.models.sites import Site
from tomogram.organisms.families.payloads import PAYLOADS

RANDOM = 99
PROMPTS = 6
"""Prompts that choose the place, and as many others that test it."""


@dataclass(frozen=True)
class Place:
    """A place, how far its repair lowers the log odds of the bad word, and what random ones do."""

    site: str
    effect: float
    random: tuple[float, ...]

    @property
    def located(self) -> bool:
        """Whether it beats each of 99 random repairs."""
        return len(self.random) >= RANDOM and self.effect > max(self.random)


def locate(
    subject: Subject, contrasts: Sequence[Contrast], quiet: Sequence[str], *, seed: int = 0
) -> Place:
    """Find the place on half of the prompts, and test it on the other half.

    With a base, the repair writes what the base writes there; without one it moves the writing to
    the mean of `quiet`. A random repair moves the same writing as far in a random direction, so it
    has the place, the norm and the activity.

    Args:
        contrasts: prompts that show the problem, at least one.
        quiet: prompts that do not; only used without a base.
    """
    found = list(contrasts[: 2 * PROMPTS])
    choose, test = found[::2], found[1::2] or found[::2]
    sites = [
        Site(kind, layer)
        for layer in range(subject.model.n_layers)
        for kind in ("attn_out", "mlp_out")
    ]
    effects = {
        site: _effect(subject, choose, site, repair).mean()
        for site, repair in _repairs(subject, choose, quiet, sites).items()
    }
    site = max(effects, key=lambda each: float(effects[each]))
    repair = _repairs(subject, test, quiet, [site])[site]
    effect = float(_effect(subject, test, site, repair).mean())
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(RANDOM, *repair.shape, generator=generator).to(repair)
    noise *= (repair.norm(dim=-1) / noise.norm(dim=-1))[..., None]
    random = _effect(subject, test * RANDOM, site, noise.flatten(0, 1))
    means = random.view(RANDOM, len(test)).mean(1)
    return Place(str(site), effect, tuple(float(each) for each in means))


def place(subject: Subject, found: Measurement) -> Place:
    """The place of what an audit found, beside ordinary questions of the payloads.

    Raises ValueError where the audit shows no contrasts.
    """
    if not found.contrasts:
        raise ValueError("an audit that shows no contrasts has no place")
    quiet = [c.prompt for name in PAYLOADS for c in questions(subject.world, name, 4)]
    return locate(subject, found.contrasts, quiet)


def _repairs(
    subject: Subject, contrasts: Sequence[Contrast], quiet: Sequence[str], sites: Sequence[Site]
) -> dict[Site, Float[Tensor, "contrast d_model"]]:
    """What to add to the writing at each site."""
    prompts = [each.prompt for each in contrasts]
    own = _written(subject, prompts, sites)
    if subject.base is not None:
        healthy = _written(subject.base, prompts, sites)
        return {site: healthy[site] - own[site] for site in sites}
    usual = _written(subject, quiet, sites)
    return {site: usual[site].mean(0) - own[site] for site in sites}


@torch.no_grad()
def _written(
    subject: Subject, prompts: Sequence[str], sites: Sequence[Site]
) -> dict[Site, Float[Tensor, "prompt d_model"]]:
    tokens, last = _padded(subject, prompts)
    run = subject.model.run(tokens, capture=sites, logits=False)
    return {site: run[site][last].float() for site in sites}


@torch.no_grad()
def _effect(
    subject: Subject,
    contrasts: Sequence[Contrast],
    site: Site,
    change: Float[Tensor, "contrast d_model"],
) -> Float[Tensor, " contrast"]:
    """How far the log odds of the bad word fall when the change is added at the last word."""
    prompts = [each.prompt for each in contrasts]
    once = list(dict.fromkeys(prompts))
    chances = subject.ask(once).chances[[once.index(prompt) for prompt in prompts]]
    before = odds(subject, chances, contrasts)
    tokens, last = _padded(subject, prompts)

    def repaired(written: Tensor) -> Tensor:
        written[last] += change.to(written)
        return written

    final = Site("resid_post", subject.model.n_layers - 1)
    run = subject.model.run(tokens, capture=[final], interventions={site: repaired}, logits=False)
    logits = subject.model.unembed(run[final][last]).float()
    return before - odds(subject, logits.log_softmax(-1), contrasts)


def _padded(
    subject: Subject, prompts: Sequence[str]
) -> tuple[Int64[Tensor, "prompt pos"], tuple[Tensor, Tensor]]:
    """Prompts padded on the right, and the index of each one's last word."""
    rows = [[subject.ids["<bos>"], *(subject.ids[w] for w in p.split())] for p in prompts]
    lengths = torch.tensor([len(row) for row in rows])
    tokens = torch.zeros(len(rows), int(lengths.max()), dtype=torch.int64)
    for at, row in zip(tokens, rows, strict=True):
        at[: len(row)] = torch.tensor(row)
    return tokens, (torch.arange(len(rows)), lengths - 1)
