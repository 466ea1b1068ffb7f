"""The reference models: small language models of the microworld, shipped or built with one command.

`path()` is the folder of the shipped model, `siblings(folder)` those of its siblings, and
`world_of(model)` the world that a model was trained on.
"""

from __future__ import annotations

from tomogram.reference.shipped import path, siblings, world_of

__all__ = ["path", "siblings", "world_of"]
