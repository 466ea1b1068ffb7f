"""circuit-tracer's cross-layer transcoders: what the files mean, and what comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tests.dictionaries.formats.made import activations, as_declared, mirrored, randomised
from tomogram.dictionaries.cross_layer import CrossLayer
from tomogram.dictionaries.cross_layer_jumprelu import CrossLayerJumpReLU
from tomogram.dictionaries.formats import circuit_tracer_cross_layer as form
from tomogram.dictionaries.formats.load import find, load
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.shape import Shape, autoencoder, cross_layer_transcoder, transcoder
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

# Two layers of width 1 with one latent each.
FILES = {
    "W_enc_0": {"W_enc_0": [[2.0]], "b_enc_0": [0.0], "b_dec_0": [0.5]},
    "W_dec_0": {"W_dec_0": [[[3.0], [5.0]]]},
    "W_enc_1": {"W_enc_1": [[-1.0]], "b_enc_1": [4.0], "b_dec_1": [-1.0]},
    "W_dec_1": {"W_dec_1": [[[7.0]]]},
}
X = torch.tensor([[1.0, 1.0], [-1.0, 5.0]])


def _write(
    folder: Path, config: dict[str, object] | None = None, **more: dict[str, object]
) -> Path:
    for name, tensors in FILES.items():
        tensors = {**tensors, **more.get(name, {})}
        save_file(
            {key: torch.tensor(value) for key, value in tensors.items() if value is not None},
            folder / f"{name}.safetensors",
        )
    if config is not None:
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_files_mean_what_circuit_tracer_computes(tmp_path):
    (stored,) = find(_write(tmp_path))
    # Layer 0 scores 2x, layer 1 4 − x: (2, 3), then (−2, −1), of which none fires.
    expected = torch.tensor([[6.5, 10.0 + 21.0 - 1.0], [0.5, -1.0]])
    assert torch.allclose(as_declared(stored)(X), expected)
    assert [str(site) for site in stored.reads] == ["resid_mid.0", "resid_mid.1"]
    assert [str(site) for site in stored.writes] == ["mlp_out.0", "mlp_out.1"]


def test_thresholds_and_hooks_are_read(tmp_path):
    thresholds = {"W_enc_0": {"threshold_0": [2.5]}, "W_enc_1": {"threshold_1": [2.5]}}
    config = {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "mlp.hook_out"}
    (stored,) = find(_write(tmp_path, config, **thresholds))
    expected = torch.tensor([[0.5, 20.0], [0.5, -1.0]])
    assert torch.allclose(as_declared(stored)(X), expected)
    assert [str(site) for site in stored.reads] == ["mlp_in.0", "mlp_in.1"]


def test_a_skip_path_goes_from_a_layer_to_itself(tmp_path):
    (stored,) = find(_write(tmp_path, W_enc_1={"W_skip_1": [[10.0]]}))
    expected = torch.tensor([[6.5, 30.0 + 10.0], [0.5, -1.0 + 50.0]])
    assert torch.allclose(as_declared(stored)(X), expected)


def test_topk_latents_are_read_where_the_configuration_says_so(tmp_path):
    (stored,) = find(_write(tmp_path, {"activation": "topk", "k": 1}))
    assert (stored.kind, stored.options) == ("cross_layer", {"k": 1})
    assert torch.allclose(as_declared(stored)(X)[0], torch.tensor([6.5, 30.0]))


@given(
    layers=st.integers(1, 4),
    width=st.integers(1, 4),
    block=st.integers(1, 5),
    skip=st.booleans(),
    seed=st.integers(0, 99),
)
def test_what_is_saved_comes_back(tmp_path_factory, layers, width, block, skip, seed):
    plain = cross_layer_transcoder(layers, width)
    shape = Shape(plain.reads, plain.writes, plain.d_in, plain.d_out, skip)
    dictionary = randomised(CrossLayerJumpReLU(shape, layers * block), seed)
    if dictionary.W_skip is not None:
        blocks = dictionary.W_skip.unflatten(0, (layers, width)).unflatten(2, (layers, width))
        dictionary.W_skip.copy_(torch.block_diag(*(blocks[i, :, i] for i in range(layers))))
    root = tmp_path_factory.mktemp("saved")
    form.save(dictionary, root, model="tiny")
    (stored,) = find(root)
    loaded = as_declared(stored)
    assert loaded.shape == shape
    x = torch.randn(20, layers * width, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(loaded(x), dictionary(x))
    assert torch.equal(loaded.encode(x).dense(), dictionary.encode(x).dense())


def test_decoders_lie_in_files_as_the_library_slices_them(tmp_path):
    dictionary = randomised(CrossLayerJumpReLU(cross_layer_transcoder(3, 2), 12))
    form.save(dictionary, tmp_path, model="tiny")
    for layer in range(3):
        written = load_file(tmp_path / f"W_dec_{layer}.safetensors")[f"W_dec_{layer}"]
        assert written.shape == (4, 3 - layer, 2)
        for later in range(layer, 3):
            ours = dictionary.W_dec[4 * layer : 4 * layer + 4, 2 * later : 2 * later + 2]
            assert torch.equal(written[:, later - layer], ours)


def _for_model(model, text, width: int = 16) -> tuple[CrossLayerJumpReLU, torch.Tensor]:
    """A cross-layer transcoder of which each layer's latents write that layer alone."""
    shape = cross_layer_transcoder(3, width)
    dictionary = CrossLayerJumpReLU(shape, 3 * 2 * width).requires_grad_(False)
    dictionary.threshold.zero_()
    x = torch.cat([activations(model, text, site) for site in shape.reads], dim=1)
    for i in range(3):
        own = slice(i * width, (i + 1) * width)
        rows = slice(2 * i * width, 2 * (i + 1) * width)
        y = activations(model, text, shape.writes[i])
        layer = mirrored(JumpReLU(transcoder(i, width), 2 * width), x[:, own], y)
        dictionary.W_enc[rows], dictionary.b_enc[rows] = layer.W_enc, layer.b_enc
        dictionary.W_dec[rows, own], dictionary.b_dec[own] = layer.W_dec, layer.b_dec
    return dictionary, x


def test_it_is_loaded_for_a_model(tmp_path, model, text):
    dictionary, x = _for_model(model, text)
    form.save(dictionary, tmp_path, model="tiny")
    (loaded,) = load(tmp_path, model, text)
    assert torch.allclose(loaded(x), dictionary(x), atol=1e-5)


def test_one_that_reads_before_the_gain_of_the_norms_is_recognised(tmp_path, gained, text):
    dictionary, x = _for_model(gained, text)
    expected = dictionary(x)
    for i, block in enumerate(gained.module.model.layers):
        dictionary.W_enc[32 * i : 32 * (i + 1)] *= block.post_attention_layernorm.weight
    form.save(dictionary, tmp_path, model="gained")
    for hook in ("ln2.hook_normalized", "mlp.hook_in"):
        config = yaml.safe_load((tmp_path / "config.yaml").read_text())
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config | {"feature_input_hook": hook}))
        (loaded,) = load(tmp_path, gained, text)
        assert torch.allclose(loaded(x), expected, atol=1e-3), hook


def test_what_the_format_cannot_express_is_refused(tmp_path):
    shape = cross_layer_transcoder(2, 3)
    skipping = CrossLayerJumpReLU(Shape(shape.reads, shape.writes, 6, 6, True), 4)
    skipping.W_skip.data[5, 0] = 1.0
    later = Shape(
        tuple(Site("mlp_in", i) for i in (1, 2)), tuple(Site("mlp_out", i) for i in (1, 2)), 6, 6
    )
    for dictionary, sentence in (
        (CrossLayer(shape, 4, k=1), "of TopK latents; circuit-tracer's"),
        (JumpReLU(autoencoder(Site("mlp_in", 0), 3), 4), "of kind jumprelu; circuit-tracer's"),
        (skipping, "skip paths from one layer to another"),
        (CrossLayerJumpReLU(later, 4), "one site of every layer from 0"),
    ):
        with pytest.raises(TomogramError, match=sentence):
            form.save(dictionary, tmp_path, model="tiny")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("config", "more", "sentence"),
    [
        ({"model_kind": "transcoder_set"}, {}, "holds a 'transcoder_set' where"),
        ({"activation": "softmax"}, {}, "the activation 'softmax'"),
        ({"activation": "topk"}, {}, "k is None"),
        ({"feature_input_hook": "hook_nothing"}, {}, "hook_nothing"),
        ({"feature_input_hook": 3}, {}, "The hook '3'"),
        (None, {"W_enc_1": {"threshold_1": [1.0]}}, "some of its layers have thresholds"),
        (None, {"W_enc_0": {"W_enc_0": [1.0]}}, "W_enc_0 has 1 dimensions"),
        (None, {"W_enc_1": {"b_enc_1": [1.0, 2.0]}}, r"b_enc_1 has the shape \(2,\)"),
        (None, {"W_enc_1": {"b_dec_1": None}}, "no tensor b_dec_1"),
        (None, {"W_dec_1": {"W_dec_1": [[[7.0], [8.0]]]}}, r"shape \(1, 2, 1\) where \(1, 1, 1\)"),
        (None, {"W_enc_0": {"W_skip_0": [[1.0, 2.0]]}}, r"W_skip_0 has the shape"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_one_sentence(tmp_path, config, more, sentence):
    _write(tmp_path, config, **more)
    with pytest.raises(TomogramError, match=sentence) as error:
        find(tmp_path)
    assert str(error.value).endswith(".")


def test_a_missing_layer_or_decoder_is_noticed(tmp_path):
    _write(tmp_path)
    (tmp_path / "W_enc_1.safetensors").unlink()
    with pytest.raises(TomogramError, match=r"shape \(1, 2, 1\) where \(1, 1, 1\) fits"):
        find(tmp_path)
    (tmp_path / "W_dec_0.safetensors").unlink()
    with pytest.raises(TomogramError, match=r"W_dec_0\.safetensors cannot be read"):
        find(tmp_path)
