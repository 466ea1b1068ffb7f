"""Gemma Scope: what its arrays mean, where its paths say they belong, what comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.dictionaries.formats.made import activations, as_declared, mirrored, randomised
from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.formats import gemma_scope, norms
from tomogram.dictionaries.formats.load import find, load
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.normalisation import Normalisation
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.shape import Shape, autoencoder, crosscoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

RESID = Site("resid_post", 1)
ARRAYS = {
    "W_enc": [[1.0, 0.0], [0.0, 2.0]],
    "b_enc": [0.0, -1.0],
    "threshold": [0.5, 1.0],
    "W_dec": [[1.0, 1.0], [0.0, 3.0]],
    "b_dec": [0.25, 0.0],
}


def _write(folder: Path, **changes: object) -> Path:
    folder.mkdir(parents=True)
    arrays = {
        name: np.array(value, dtype=np.float32)
        for name, value in (ARRAYS | changes).items()
        if value is not None
    }
    np.savez(folder / "params.npz", **arrays)
    return folder


def _folder(root: Path) -> Path:
    return root / "gemma-scope-2b-pt-res" / "layer_1" / "width_2" / "average_l0_1"


def test_arrays_mean_what_gemma_scope_says(tmp_path):
    _write(_folder(tmp_path))
    (stored,) = find(tmp_path)
    loaded = as_declared(stored)
    x = torch.tensor([[1.0, 1.0], [0.5, 1.01], [2.0, -1.0]])
    # Scores x·W_enc + b_enc are (1, 1), (.5, 1.02), (2, -3); only those above (.5, 1) fire, whole.
    fired = torch.tensor([[1.0, 0.0], [0.0, 1.02], [2.0, 0.0]])
    assert torch.allclose(loaded.encode(x).dense(), fired)
    written = torch.tensor([[1.25, 1.0], [0.25, 3.06], [2.25, 2.0]])
    assert torch.allclose(loaded(x), written)


def test_names_in_small_letters_and_a_scaling_factor_of_one_are_the_same(tmp_path):
    small = {"w_enc": ARRAYS["W_enc"], "w_dec": ARRAYS["W_dec"], "W_enc": None, "W_dec": None}
    _write(_folder(tmp_path / "small"), **small, scaling_factor=[1.0, 1.0])
    _write(_folder(tmp_path / "usual"))
    x = torch.randn(20, 2)
    ours = [as_declared(stored)(x) for stored in find(tmp_path)]
    assert torch.equal(ours[0], ours[1])


@pytest.mark.parametrize(
    ("path", "read", "write"),
    [
        ("gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82", "resid_post.12", None),
        ("gemma-scope-9b-pt-res-canonical/layer_3/width_131k/canonical", "resid_post.3", None),
        ("models--google--gemma-scope-2b-pt-mlp/snapshots/1f/layer_0/w", "mlp_out.0", None),
        ("gemma-scope-9b-pt-att/layer_40/width_16k/average_l0_9", "head_z.40", None),
        ("gemma-scope-2b-pt-transcoders/layer_5/width_16k/l0", "mlp_in.5", "mlp_out.5"),
        ("gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6", "embed", None),
        ("mlp/layer_7", "mlp_out.7", None),
    ],
)
def test_paths_say_where_a_dictionary_belongs(tmp_path, path, read, write):
    (stored,) = gemma_scope.read(_write(tmp_path / path))
    assert [str(site) for site in stored.reads] == [read]
    assert [str(site) for site in stored.writes] == [write or read]


def test_an_embedding_is_read_as_the_model_looks_it_up(tmp_path):
    (stored,) = find(_write(tmp_path / "x-res" / "embedding"))
    looked_up = torch.tensor([[3.0, 2.0]])
    # Scores (3, 3), both fire: (3, 3 + 9) + b_dec; the model has it √2 times as large.
    expected = torch.tensor([[3.25, 12.0]]) * 2**0.5
    assert torch.allclose(as_declared(stored)(looked_up * 2**0.5), expected)


KINDS = {"jumprelu": (JumpReLU, {}), "relu": (ReLU, {}), "batch_topk": (BatchTopK, {"k": 2})}


@given(
    kind=st.sampled_from(sorted(KINDS)),
    width=st.integers(1, 6),
    latents=st.integers(2, 9),
    site=st.sampled_from([RESID, Site("mlp_out", 0), Site("head_z", 2), Site("embed")]),
    seed=st.integers(0, 99),
)
def test_what_is_saved_comes_back(tmp_path_factory, kind, width, latents, site, seed):
    made, options = KINDS[kind]
    dictionary = randomised(made(autoencoder(site, width), latents, **options), seed)
    root = tmp_path_factory.mktemp("saved")
    gemma_scope.save(dictionary, root / gemma_scope.folder_name(dictionary, l0=3.2))
    (stored,) = find(root)
    loaded = as_declared(stored)
    assert loaded.shape == dictionary.shape
    x = torch.randn(30, width, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(loaded(x), dictionary(x), atol=1e-5)


def test_folders_are_named_as_gemma_scope_names_them():
    def name(site: Site, latents: int) -> str:
        return gemma_scope.folder_name(JumpReLU(autoencoder(site, 2), latents), l0=70.6)

    assert name(Site("resid_post", 12), 16384) == "res/layer_12/width_16k/average_l0_71"
    assert name(Site("mlp_out", 0), 2**20) == "mlp/layer_0/width_1m/average_l0_71"
    assert name(Site("embed"), 300) == "res/embedding/width_300/average_l0_71"


def test_a_transcoder_reads_before_the_gain_of_the_norm(tmp_path, gained, text):
    shape = transcoder(1, 16)
    x, y = (activations(gained, text, site) for site in (shape.reads[0], shape.writes[0]))
    dictionary = mirrored(JumpReLU(shape, 32), x, y)
    norm = norms.before_gain(gained, shape.reads)
    gemma_scope.save(dictionary, tmp_path / "transcoders" / "layer_1", norm=norm)
    with np.load(tmp_path / "transcoders" / "layer_1" / "params.npz") as arrays:
        file = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    # By hand: the norm of this model multiplies by its weight and adds nothing.
    weight = gained.module.model.layers[1].post_attention_layernorm.weight
    assert (weight - 1).abs().max() > 0.5
    scores = (x / weight) @ file["W_enc"] + file["b_enc"]
    written = (scores * (scores > file["threshold"])) @ file["W_dec"] + file["b_dec"]
    assert torch.allclose(written, dictionary(x), atol=1e-4)
    (loaded,) = load(tmp_path, gained, text)
    assert torch.allclose(loaded(x), dictionary(x), atol=1e-4)
    assert torch.allclose(loaded.encode(x).dense(), dictionary.encode(x).dense(), atol=1e-4)


def test_a_norm_with_a_bias_is_undone_when_a_transcoder_is_saved(tmp_path):
    dictionary = randomised(JumpReLU(transcoder(1, 4), 9))
    norm = Normalisation(centre=torch.randn(4), scale=torch.rand(4) + 0.5)
    gemma_scope.save(dictionary, tmp_path / "transcoders" / "layer_1", norm=norm)
    (stored,) = find(tmp_path)
    normalised = torch.randn(20, 4)
    expected = dictionary(normalised * norm.scale + norm.centre)
    assert torch.allclose(as_declared(stored)(normalised), expected, atol=1e-5)


def test_a_transcoder_that_reads_after_the_gain_after_all_is_found_out(tmp_path, gained, text):
    shape = transcoder(1, 16)
    x, y = (activations(gained, text, site) for site in (shape.reads[0], shape.writes[0]))
    dictionary = mirrored(JumpReLU(shape, 32), x, y)
    folder = tmp_path / "transcoders" / "layer_1"
    weights = {"W_enc": dictionary.W_enc.T, "threshold": dictionary.threshold}
    weights |= {name: getattr(dictionary, name) for name in ("b_enc", "W_dec", "b_dec")}
    _write(folder, **{name: tensor.numpy() for name, tensor in weights.items()})
    (loaded,) = load(tmp_path, gained, text)
    assert torch.allclose(loaded(x), dictionary(x), atol=1e-4)


def test_residual_dictionaries_are_loaded_for_a_model(tmp_path, model, text):
    x = activations(model, text, RESID)
    dictionary = mirrored(JumpReLU(autoencoder(RESID, 16), 32), x, x)
    gemma_scope.save(dictionary, tmp_path / "x-res" / "layer_1" / "width_32")
    (loaded,) = load(tmp_path, model, text)
    assert torch.allclose(loaded(x), x, atol=1e-4)


@pytest.mark.parametrize(
    ("dictionary", "sentence"),
    [
        (TopK(autoencoder(RESID, 2), 4, k=1), "no JumpReLU dictionary"),
        (Gated(autoencoder(RESID, 2), 4), "no JumpReLU dictionary"),
        (ReLU(autoencoder(Site("resid_pre", 0), 2), 4), "no place among Gemma Scope's"),
        (ReLU(crosscoder([RESID, Site("resid_post", 2)], 2), 4), "no place among"),
        (ReLU(transcoder(1, 2, skip=True), 4), "no place among"),
        (ReLU(Shape((RESID,), (Site("mlp_out", 1),), 2, 2), 4), "no place among"),
        (ReLU(transcoder(1, 2), 4), "before it: saving it needs the norm"),
    ],
)
def test_what_the_format_cannot_express_is_refused(tmp_path, dictionary, sentence):
    with pytest.raises(TomogramError, match=sentence):
        gemma_scope.save(dictionary, tmp_path / "res" / "layer_1")
    assert not list(tmp_path.rglob("*.npz"))


def _only(name: str, root: Path) -> Path:
    return _write(root / name)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda root: _only("layer_1", root), "does not say what its dictionary reads"),
        (lambda root: _only("x-res/width_16k", root), "does not say its layer"),
        (lambda root: _only("x-mlp/embedding", root), "does not say its layer"),
        (lambda root: _write(_folder(root), threshold=None), "no tensor threshold"),
        (lambda root: _write(_folder(root), W_enc=[1.0]), "W_enc has 1 dimensions, not 2"),
        (lambda root: _write(_folder(root), b_enc=[[1.0, 2.0]]), r"b_enc has the shape \(1, 2\)"),
        (lambda root: _write(_folder(root), W_dec=[[np.inf, 0], [0, 0]]), "that are not finite"),
        (lambda root: _write(_folder(root), scaling_factor=[2.0, 1.0]), "a scaling factor other"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_one_sentence(tmp_path, make, sentence):
    make(tmp_path)
    with pytest.raises(TomogramError, match=sentence) as error:
        find(tmp_path)
    assert str(error.value).endswith(".")
