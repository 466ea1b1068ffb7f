"""Files of our own: what they hold is read back, and what is no such file is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.dictionaries.formats.made import as_declared, randomised
from tomogram.dictionaries.cross_layer import CrossLayer
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import native
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.matryoshka import Matryoshka
from tomogram.dictionaries.paired import paired_shape
from tomogram.dictionaries.shape import cross_layer_transcoder, crosscoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

STREAM = [Site("resid_post", 0), Site("resid_post", 1)]


@pytest.mark.parametrize(
    "dictionary",
    [
        TopK(crosscoder(STREAM, 6), 10, k=3),
        TopK(paired_shape(STREAM[0], 6), 10, k=3),
        Gated(transcoder(1, 6, skip=True), 10, sparsity=0.5),
        JumpReLU(transcoder(0, 6), 10, target_l0=3),
        Matryoshka(crosscoder(STREAM, 6), 10, k=3, prefixes=[5, 10]),
        CrossLayer(cross_layer_transcoder(2, 6), 10, k=3),
    ],
    ids=lambda d: f"{d.kind}-{d.name}",
)
def test_read_back_as_they_were(dictionary: Dictionary, tmp_path: Path) -> None:
    made = randomised(dictionary)
    native.save(made, tmp_path)
    (stored,) = native.read(tmp_path)
    read = as_declared(stored)
    assert (read.kind, read.shape, read.config()) == (made.kind, made.shape, made.config())
    for name, tensor in made.state_dict().items():
        assert torch.equal(read.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "known here is 1"),
        ({"kind": "dense"}, "cannot be loaded"),
        ({"kind": "gated"}, "gives options that no dictionary of kind 'gated' has"),
        ({"options": {"k": 3, "own": 1}}, "gives options that no"),
        ({"options": {}}, "gives options that no"),
        ({"options": {"k": 99}}, "between 1 and the 10 latents"),
        ({"options": [3]}, "does not give the options"),
        ({"reads": "resid_post.0"}, "which sites the dictionary reads"),
        ({"writes": ["__import__('os')"]}, "no site of kind|not a site"),
        ({"models": 7}, "do not share the widths"),
        ({"models": None}, "no whole number"),
    ],
)
def test_what_is_no_such_file_is_refused(change: dict, said: str, tmp_path: Path) -> None:
    native.save(randomised(TopK(transcoder(0, 6), 10, k=3)), tmp_path)
    file = tmp_path / native.CONFIG
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(TomogramError, match=said):
        native.read(tmp_path)


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    native.save(randomised(JumpReLU(transcoder(0, 6), 10)), tmp_path)
    file = tmp_path / native.CONFIG
    found = json.loads(file.read_text()) | {"kind": "topk", "options": {"k": 2}}
    file.write_text(json.dumps(found))
    with pytest.raises(TomogramError, match="does not hold the weights"):
        native.read(tmp_path)
