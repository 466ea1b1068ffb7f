"""Edits: how targets are turned. An edit changes a site only by the difference it makes.

For activations a of its targets and the rule's a′, the site goes on with x + Σ (a′ − a)·w, w being
what a unit of each target writes. So whatever a dictionary fails to explain of x stays in it
(Templeton et al. 2024, "Scaling Monosemanticity", appendix on steering).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.models.capture import Intervention
from tomogram.models.sites import Site
from tomogram.steering.positions import Watch, Where, everywhere
from tomogram.steering.targets import Target, activations
from tomogram.store.errors import TomogramError

KINDS = (
    *("embed", "pos_embed", "resid_pre", "attn_in", "attn_out"),
    *("resid_mid", "mlp_in", "neurons", "mlp_out", "resid_post"),
)
"""Kinds of sites that edits read and write: one vector a token, before the final norm."""


class Change(Protocol):
    """Something that adds to the value of one site, given that of another or of the same one."""

    @property
    def read(self) -> Site:
        """The site whose value it is given."""

    @property
    def write(self) -> Site:
        """The site it adds to."""

    @property
    def where(self) -> Where:
        """On which tokens it acts."""

    def change(
        self, x: Float[Tensor, "batch pos d_in"], codes: dict[int, Tensor]
    ) -> Float[Tensor, "... d_out"]:
        """What it adds; `codes` are those of x, see `targets.activations`."""


class Rule(Protocol):
    """What becomes of the activations of an edit's targets."""

    def __call__(self, old: Float[Tensor, "*rows targets"]) -> Float[Tensor, "*rows targets"]:
        """The new activations."""


@dataclass(frozen=True)
class Add:
    """a + amount, whatever a is."""

    amount: float

    def __call__(self, old: Float[Tensor, "*rows targets"]) -> Float[Tensor, "*rows targets"]:
        """The new activations."""
        return old + self.amount


@dataclass(frozen=True)
class Scale:
    """a · factor; 0 ablates."""

    factor: float

    def __call__(self, old: Float[Tensor, "*rows targets"]) -> Float[Tensor, "*rows targets"]:
        """The new activations."""
        return old * self.factor


@dataclass(frozen=True)
class Clamp:
    """The value, whatever a was."""

    value: float

    def __call__(self, old: Float[Tensor, "*rows targets"]) -> Float[Tensor, "*rows targets"]:
        """The new activations."""
        return torch.full_like(old, self.value)


@dataclass(frozen=True)
class Swap:
    """Each of two targets takes the other's activation."""

    def __call__(self, old: Float[Tensor, "*rows 2"]) -> Float[Tensor, "*rows 2"]:
        """The new activations."""
        return old.flip(-1)


@dataclass(frozen=True, eq=False)
class Edit:
    """Targets, what becomes of their activations, and on which tokens.

    All targets read one site and write one site. An edit of a number that is not finite, or a swap
    of other than two targets, is refused with a TomogramError.
    """

    targets: tuple[Target, ...]
    rule: Rule
    where: Where = everywhere

    def __post_init__(self) -> None:
        if not self.targets:
            raise TomogramError("An edit needs a target.")
        sites = {(target.read, target.write) for target in self.targets}
        if len(sites) > 1:
            raise TomogramError("The targets of one edit must read one site and write one site.")
        for site in (self.read, self.write):
            if site.kind not in KINDS:
                raise TomogramError(f"{site} is no place to steer; {', '.join(KINDS)} are.")
        if isinstance(self.rule, Swap) and len(self.targets) != 2:
            raise TomogramError(f"A swap has two targets, not {len(self.targets)}.")
        for number in vars(self.rule).values():
            if isinstance(number, float) and not abs(number) < float("inf"):
                raise TomogramError(f"A target cannot be turned by {number}.")

    @property
    def read(self) -> Site:
        """The site that tells the activations."""
        return self.targets[0].read

    @property
    def write(self) -> Site:
        """The site that changes."""
        return self.targets[0].write

    @property
    def constant(self) -> Float[Tensor, " d_out"] | None:
        """What the edit adds where it acts, if that is the same everywhere; else None."""
        if not isinstance(self.rule, Add):
            return None
        return self.rule.amount * torch.stack([t.writes.float() for t in self.targets]).sum(0)

    def change(
        self, x: Float[Tensor, "batch pos d_in"], codes: dict[int, Tensor]
    ) -> Float[Tensor, "... d_out"]:
        """What the edit adds at its write site, given the value of its read site."""
        constant = self.constant
        if constant is not None:
            return constant.to(x.device)
        old = torch.stack([activations(target, x, codes) for target in self.targets], -1)
        writes = torch.stack([target.writes for target in self.targets]).to(x.device)
        return (self.rule(old) - old) @ writes.to(old.dtype)


def add(target: Target, amount: float, where: Where = everywhere) -> Edit:
    """Raises (or, below 0, lowers) a target's activation by an amount."""
    return Edit((target,), Add(float(amount)), where)


def scale(target: Target, factor: float, where: Where = everywhere) -> Edit:
    """Multiplies a target's activation; it changes nothing where the target is not active."""
    return Edit((target,), Scale(float(factor)), where)


def clamp(target: Target, value: float, where: Where = everywhere) -> Edit:
    """Sets a target's activation to a value."""
    return Edit((target,), Clamp(float(value)), where)


def ablate(target: Target, where: Where = everywhere) -> Edit:
    """Takes a target out: of a direction, the projection on it (Arditi et al. 2024)."""
    return Edit((target,), Scale(0.0), where)


def swap(one: Target, other: Target, where: Where = everywhere) -> Edit:
    """Gives each of two targets the other's activation."""
    return Edit((one, other), Swap(), where)


def interventions(edits: Sequence[Change], watch: Watch) -> dict[Site, Intervention]:
    """The interventions that make edits, on the forward passes that a watch knows.

    Edits that read one site read the same value: what the edits of earlier sites left there,
    before any edit of its own. What several edits add at one site is summed.
    """
    seen: dict[Site, Tensor] = {}
    codes: dict[Site, dict[int, Tensor]] = {}
    reads = {edit.read for edit in edits}

    def act(site: Site) -> Intervention:
        own = [edit for edit in edits if edit.write == site]

        def intervene(value: Tensor) -> Tensor:
            if site in reads:
                seen[site], codes[site] = value, {}
            if not own:
                return value
            total = torch.zeros_like(value, dtype=torch.float32)
            for edit in own:
                change = edit.change(seen[edit.read], codes[edit.read])
                total += change * edit.where(watch.now()).to(value.device)[..., None]
            return (value.float() + total).to(value.dtype)

        return intervene

    return {site: act(site) for site in reads | {edit.write for edit in edits}}
