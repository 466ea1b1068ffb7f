"""What is trained, and with which settings each library trains it.

A library's documented settings are made for hundreds of millions of tokens, and over as few as here
they leave it far from done. So each peer also trains at our own batch and at rates around our own,
with the warm-up and decay it documents. Its best run counts, chosen seed by seed on the measured
tokens themselves, which is in the peers' favour. Ours has one setting: that of `tomogram train`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.dictionary_quality.runs import OURS, Run
from benchmarks.dictionary_quality.workers.protocol import Order

TOKENS, LATENTS, L0 = 300_000, 1_024, 32
SEEDS = (0, 1, 2)
KINDS: Mapping[str, tuple[str, ...]] = {
    "topk": ("sae_lens", "dictionary_learning", "sparsify"),
    "batch_topk": ("sae_lens", "dictionary_learning"),
    "jumprelu": ("sae_lens", "dictionary_learning"),
}
"""The kinds that are compared, and the peers that have them."""


@dataclass(frozen=True)
class Setting:
    """A learning rate and a batch."""

    rate: float
    batch: int


FOR_THIS_LENGTH = (Setting(2e-3, 1_024), Setting(6e-3, 1_024))


def order(folder: Path, kind: str, seed: int, *, part: str = "held_out") -> Order:
    """A training by documented settings, measured on a part of the tokens."""
    return Order(
        train=str(folder / "train.npy"),
        measured=str(folder / f"{part}.npy"),
        tokens=TOKENS,
        kind=kind,
        latents=LATENTS,
        l0=L0,
        rate=0.0,
        batch=0,
        seed=seed,
        documented=True,
    )


def by(setting: Setting, documented: Order) -> Order:
    """The same training at a rate and a batch."""
    return replace(documented, documented=False, rate=setting.rate, batch=setting.batch)


def compared(folder: Path, kind: str, seed: int) -> dict[str, list[Run]]:
    """By library, the runs of a kind and a seed; the least FVU of a library's runs counts."""
    documented = order(folder, kind, seed)
    runs = {OURS: [Run(OURS, documented)]}
    for who in KINDS[kind]:
        settings = [documented, *(by(setting, documented) for setting in FOR_THIS_LENGTH)]
        runs[who] = [Run(who, each) for each in settings]
    return runs
