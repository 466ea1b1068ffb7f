"""The sketch of two heads: what they attend to before any training."""

from __future__ import annotations

import torch

from tomogram.models.load import wrap
from tomogram.models.sites import Site
from tomogram.reference.recipe import REFERENCE
from tomogram.reference.train import untrained
from tomogram.text.microworld.vocabulary import vocabulary

LENGTH = 40


def _patterns(*layers: int) -> dict[int, torch.Tensor]:
    """Attention of head 0 of each layer over a random sequence that is said twice."""
    model = wrap(untrained(REFERENCE), name="untrained")
    generator = torch.Generator().manual_seed(0)
    words = torch.randperm(len(vocabulary(REFERENCE.world)), generator=generator)[:LENGTH]
    tokens = torch.cat([words, words])[None]
    run = model.run(tokens, capture=[Site("pattern", layer) for layer in layers], logits=False)
    return {layer: run[Site("pattern", layer)][0, 0] for layer in layers}


def test_the_first_looks_at_the_previous_token() -> None:
    previous = _patterns(0)[0].diagonal(-1)
    assert previous.mean() > 0.5


def test_the_second_looks_behind_where_the_token_stood_before() -> None:
    pattern = _patterns(1)[1]
    places = torch.arange(LENGTH, 2 * LENGTH - 1)
    behind = places - LENGTH + 1
    assert pattern[places, behind].mean() > 0.5
    assert (pattern[places].argmax(dim=-1) == behind).float().mean() > 0.8
