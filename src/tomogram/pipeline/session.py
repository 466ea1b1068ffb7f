"""What every stage of one scan is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.plan import Plan, chosen_layers
from tomogram.store.canonical import Json
from tomogram.text.microworld.world import World


@dataclass(frozen=True, eq=False)
class Session:
    """One scan: the model, how thorough, from which seed, into which folder.

    world: the microworld the model was trained on, where it is one of the reference models.
    """

    model: Model
    plan: Plan
    folder: Path
    seed: int
    world: World | None

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that get dictionaries and neuron tables."""
        return chosen_layers(self.plan, self.model.n_layers)

    @property
    def neuron_layers(self) -> tuple[int, ...]:
        """Those of `layers` whose MLP has neurons."""
        have = set(self.model.sites)
        return tuple(layer for layer in self.layers if Site("neurons", layer) in have)

    @property
    def batch_rows(self) -> int:
        """Rows in one forward pass: a few thousand tokens, fewer for a wide model."""
        tokens = max(512, min(8192, 4_000_000 // self.model.d_model))
        return max(1, tokens // self.plan.context)

    def inputs(self, **more: Json) -> Json:
        """What the results of every stage depend on, and what one stage adds to it.

        The number of threads decides the last bits of sums.
        """
        return {
            "model": self.model.digest,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": self.model.device.type,
            "threads": torch.get_num_threads(),
            "seed": self.seed,
            **more,
        }
