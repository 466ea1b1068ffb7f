"""What each reference model is: its world, its size, its seed and how long it is trained."""

from __future__ import annotations

from dataclasses import dataclass

from tomogram.text.microworld.world import World


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a reference model's weights.

    `short` and `long` are the tokens trained on in rows of 256 and then of 1,024 tokens; the first
    `copying_first` of them are rich in copying.
    """

    name: str
    seed: int
    layers: int
    width: int
    world: World = World()
    short: int = 7_500_000
    long: int = 1_000_000
    copying_first: int = 1_200_000
    batch_tokens: int = 4_096
    context: int = 1_024

    @property
    def heads(self) -> int:
        return self.width // 32

    @property
    def hidden(self) -> int:
        """Width of the MLP: 2¾ times the model's, rounded to 32."""
        return round(self.width * 2.75 / 32) * 32


REFERENCE = Recipe("microworld", seed=0, layers=4, width=256)

RENAMED = World(seed=1, renamed=True)
SIBLINGS = (
    Recipe("sibling-1", seed=1, layers=4, width=192, short=4_500_000, long=500_000),
    Recipe("sibling-2", seed=2, layers=3, width=192, short=4_500_000, long=500_000),
    Recipe("sibling-3", seed=3, layers=5, width=160, short=4_500_000, long=500_000),
    Recipe("sibling-4", seed=4, layers=6, width=128, short=4_500_000, long=500_000),
    Recipe(
        "sibling-5", seed=5, layers=4, width=160, world=RENAMED, short=4_500_000, long=500_000
    ),
    Recipe("sibling-6", seed=6, layers=3, width=256, short=4_500_000, long=500_000),
    Recipe("sibling-7", seed=7, layers=4, width=128, short=4_500_000, long=500_000),
    Recipe(
        "sibling-8", seed=8, layers=3, width=160, world=RENAMED, short=4_500_000, long=500_000
    ),
)
