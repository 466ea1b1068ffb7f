"""Files exchanged with the real libraries: the same reconstructions on both sides.

Each library lives in an environment of its own; `python tests/dictionaries/peers/make.py` makes
them. Then: `pytest -m slow tests/dictionaries/test_peers.py`.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.dictionaries.formats.made import randomised
from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.cross_layer_jumprelu import CrossLayerJumpReLU
from tomogram.dictionaries.formats import (
    circuit_tracer,
    circuit_tracer_cross_layer,
    dictionary_learning,
    gemma_scope,
    saelens,
    sparsify,
)
from tomogram.dictionaries.formats.load import find
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.matryoshka import Matryoshka
from tomogram.dictionaries.normalisation import Normalisation
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.shape import Shape, autoencoder, cross_layer_transcoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent
WIDTH, LATENTS = 16, 64
SHAPE = autoencoder(Site("resid_post", 1), WIDTH)


def exchange(
    peer: str, folder: Path, x: torch.Tensor, script: str = "", **environment: str
) -> dict[str, torch.Tensor]:
    """What the library makes of our dictionaries and of its own."""
    python = HERE.parents[1] / ".venv-peers" / peer / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{peer} has no environment; tests/dictionaries/peers/make.py makes it")
    save_file({"x": x}, folder / "x.safetensors")
    path = HERE / "peers" / f"{script or f'with_{peer}'}.py"
    subprocess.run([str(python), str(path), str(folder)], check=True, env=os.environ | environment)
    return load_file(folder / "theirs.safetensors")


def assert_theirs_are_read(folder: Path, theirs: dict[str, torch.Tensor], x: torch.Tensor) -> None:
    """Our reading of the library's own files, under the conventions they declare."""
    stored = find(folder, allow_pickle=True)
    assert len(stored) == sum(name.startswith("new.") for name in theirs)
    for item in stored:
        ours = item.dictionary(subtracts_b_dec=item.subtracts_b_dec, input_scale=1.0)
        expected = theirs[f"new.{item.origin.name.removesuffix('.safetensors')}"]
        assert torch.allclose(ours(x), expected, atol=1e-5), item.origin.name


@pytest.fixture
def x() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(50, WIDTH)


def test_sae_lens(tmp_path, x):
    ours = {
        "topk": TopK(SHAPE, LATENTS, k=5),
        "batch_topk": BatchTopK(SHAPE, LATENTS, k=5),
        "relu": ReLU(SHAPE, LATENTS),
        "jumprelu": JumpReLU(SHAPE, LATENTS),
        "gated": Gated(SHAPE, LATENTS),
    }
    for name, dictionary in ours.items():
        saelens.save(randomised(dictionary), tmp_path / "ours" / name, model="tiny", context=12)
    theirs = exchange("sae_lens", tmp_path, x)
    for name, dictionary in ours.items():
        assert torch.allclose(theirs[name], dictionary(x), atol=1e-5), name
    assert_theirs_are_read(tmp_path / "new", theirs, x)


def test_sparsify(tmp_path, x):
    ours = [TopK(shape, LATENTS, k=5) for shape in (SHAPE, transcoder(2, WIDTH, skip=True))]
    for dictionary in ours:
        name = sparsify.folder_name(randomised(dictionary))
        sparsify.save(dictionary, tmp_path / "ours" / name)
    theirs = exchange("sparsify", tmp_path, x)
    for dictionary in ours:
        found = theirs[sparsify.folder_name(dictionary)]
        assert torch.allclose(found, dictionary(x), atol=1e-5), dictionary.name
    assert_theirs_are_read(tmp_path / "new", theirs, x)


@pytest.mark.parametrize("kind", [ReLU, JumpReLU])
def test_circuit_tracer(kind, tmp_path, x):
    ours = [randomised(kind(transcoder(i, WIDTH, skip=True), LATENTS)) for i in range(2)]
    circuit_tracer.save(ours, tmp_path / "ours", model="tiny")
    theirs = exchange("circuit_tracer", tmp_path, x)
    for layer, dictionary in enumerate(ours):
        assert torch.allclose(theirs[f"layer_{layer}"], dictionary(x), atol=1e-5), layer
    assert_theirs_are_read(tmp_path / "new", theirs, x)


@pytest.mark.parametrize("skip", [False, True])
def test_cross_layer_transcoders_of_circuit_tracer(skip, tmp_path, x):
    plain = cross_layer_transcoder(2, WIDTH)
    shape = Shape(plain.reads, plain.writes, plain.d_in, plain.d_out, skip)
    dictionary = randomised(CrossLayerJumpReLU(shape, 2 * LATENTS))
    if dictionary.W_skip is not None:
        dictionary.W_skip[:WIDTH, WIDTH:] = dictionary.W_skip[WIDTH:, :WIDTH] = 0
    circuit_tracer_cross_layer.save(dictionary, tmp_path / "ours", model="tiny")
    theirs = exchange("circuit_tracer", tmp_path, x, "cross_layer_with_circuit_tracer")
    both = torch.cat([x, x.flip(0)], dim=1)
    assert torch.allclose(theirs["ours"], dictionary(both), atol=1e-5)
    for name in ("relu", "jump_relu"):
        (stored,) = find(tmp_path / "new" / name)
        ours = stored.dictionary(subtracts_b_dec=False, input_scale=1.0)
        assert torch.allclose(ours(both), theirs[f"new.{name}"], atol=1e-5), name


def test_dictionary_learning(tmp_path, x):
    ours = {
        "relu": ReLU(SHAPE, LATENTS),
        "gated": Gated(SHAPE, LATENTS),
        "jumprelu": JumpReLU(SHAPE, LATENTS),
        "topk": TopK(SHAPE, LATENTS, k=5),
        "batch_topk": BatchTopK(SHAPE, LATENTS, k=5),
        "matryoshka": Matryoshka(SHAPE, LATENTS, k=5, prefixes=(16, LATENTS)),
    }
    for name, dictionary in ours.items():
        dictionary_learning.save(randomised(dictionary), tmp_path / "ours" / name, model="tiny")
    theirs = exchange("dictionary_learning", tmp_path, x)
    for name, dictionary in ours.items():
        assert torch.allclose(theirs[name], dictionary(x), atol=1e-5), name
    assert_theirs_are_read(tmp_path / "new", theirs, x)


def test_gemma_scope_as_sae_lens_loads_it(tmp_path, x):
    commit = "0" * 40
    norm = Normalisation(centre=torch.zeros(WIDTH), scale=torch.rand(WIDTH) + 0.5)
    ours = [randomised(JumpReLU(shape, LATENTS)) for shape in (SHAPE, transcoder(1, WIDTH))]
    for dictionary in ours:
        part, place = gemma_scope.folder_name(dictionary, l0=5).split("/", 1)
        repository = tmp_path / "hub" / f"models--google--gemma-scope-2b-pt-{part}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(commit)
        # The loader for transcoders wants a width it knows.
        folder = repository / "snapshots" / commit / place.replace("width_64", "width_16k")
        gemma_scope.save(dictionary, folder, norm=norm)
    theirs = exchange(
        "sae_lens",
        tmp_path,
        x,
        "gemma_scope_with_sae_lens",
        HF_HUB_OFFLINE="1",
        HF_HUB_CACHE=str(tmp_path / "hub"),
    )
    autoencoding, transcoding = ours
    assert torch.allclose(theirs["res"], autoencoding(x), atol=1e-5)
    # Theirs reads before the gain, ours after it.
    assert torch.allclose(theirs["transcoders"], transcoding(x * norm.scale), atol=1e-5)
