"""Files exchanged with the real libraries: the same reconstructions on both sides.

Each library lives in an environment of its own; `python tests/dictionaries/peers/make.py` makes
them. Then: `pytest -m slow tests/dictionaries/test_peers.py`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import circuit_tracer, saelens, sparsify
from tomogram.dictionaries.formats.load import find
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.shape import autoencoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent
WIDTH, LATENTS = 16, 64
SHAPE = autoencoder(Site("resid_post", 1), WIDTH)


def randomised(dictionary: Dictionary) -> Dictionary:
    dictionary.requires_grad_(False)
    for tensor in dictionary.state_dict().values():
        tensor.copy_(0.3 * torch.randn(tensor.shape))
    return dictionary


def exchange(peer: str, folder: Path, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the library makes of our dictionaries and of its own."""
    python = HERE.parents[1] / ".venv-peers" / peer / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{peer} has no environment; tests/dictionaries/peers/make.py makes it")
    save_file({"x": x}, folder / "x.safetensors")
    script = HERE / "peers" / f"with_{peer}.py"
    subprocess.run([str(python), str(script), str(folder)], check=True)
    return load_file(folder / "theirs.safetensors")


def assert_theirs_are_read(folder: Path, theirs: dict[str, torch.Tensor], x: torch.Tensor) -> None:
    """Our reading of the library's own files, under the conventions they declare."""
    stored = find(folder)
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
