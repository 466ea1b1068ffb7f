"""Formats: what is saved is loaded again, what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.dictionaries.test_trainer import SETTINGS
from tomogram.activations.buffer import ShuffleBuffer
from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import circuit_tracer, hooks, saelens, sparsify
from tomogram.dictionaries.formats.load import find, load
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.shape import autoencoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.dictionaries.trainer import train
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

RESID = Site("resid_post", 1)


@pytest.fixture(scope="module")
def trained(model, text) -> list[Dictionary]:
    """An autoencoder and a skip transcoder a layer, good enough to reconstruct."""
    dictionaries: list[Dictionary] = [TopK(autoencoder(RESID, 16), 48, k=6)]
    dictionaries += [TopK(transcoder(i, 16, skip=True), 48, k=6) for i in range(3)]
    sites = list({s for d in dictionaries for s in (*d.shape.reads, *d.shape.writes)})
    source = ShuffleBuffer(
        model, text, sites, capacity=10_000, batch_tokens=128, batch_rows=8, seed=0
    )
    return train(dictionaries, source, 80, SETTINGS)


def _x(seed: int = 0) -> torch.Tensor:
    return torch.randn(40, 16, generator=torch.Generator().manual_seed(seed))


def _assert_equal(loaded: Dictionary, saved: Dictionary) -> None:
    assert loaded.shape == saved.shape
    assert loaded.kind == saved.kind
    assert torch.allclose(loaded(_x()), saved(_x()), atol=1e-5)
    assert torch.equal(loaded.encode(_x()).indices, saved.encode(_x()).indices)


def test_saelens_comes_back(trained, tmp_path, model, text):
    saelens.save(trained[0], tmp_path, model="tiny", context=12)
    (loaded,) = load(tmp_path, model, text)
    _assert_equal(loaded, trained[0])


def test_sparsify_comes_back_for_both_shapes(trained, tmp_path, model, text):
    for dictionary in trained:
        sparsify.save(dictionary, tmp_path / sparsify.folder_name(dictionary))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "layers.0.mlp",
        "layers.1",
        "layers.1.mlp",
        "layers.2.mlp",
    ]
    loaded = {d.name: d for d in load(tmp_path, model, text)}
    for dictionary in trained:
        _assert_equal(loaded[dictionary.name], dictionary)


def test_circuit_tracer_comes_back_with_its_skip_path(trained, tmp_path, model, text):
    circuit_tracer.save(trained[1:], tmp_path, model="tiny")
    assert load_file(tmp_path / "layer_0.safetensors")["W_skip"].shape == (16, 16)
    for loaded, saved in zip(load(tmp_path, model, text), trained[1:], strict=True):
        _assert_equal(loaded, saved)


@pytest.mark.parametrize(
    ("kind", "options"),
    [(ReLU, {}), (JumpReLU, {}), (Gated, {}), (BatchTopK, {"k": 6})],
)
def test_kinds_of_varying_l0_come_back_from_saelens(kind, options, tmp_path):
    dictionary = kind(autoencoder(RESID, 16), 48, **options).requires_grad_(False)
    for tensor in dictionary.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape))
    saelens.save(dictionary, tmp_path, model="tiny", context=12)
    (stored,) = find(tmp_path)
    loaded = stored.dictionary(subtracts_b_dec=stored.subtracts_b_dec, input_scale=1.0)
    assert torch.allclose(loaded(_x()), dictionary(_x()), atol=1e-4)
    # The other convention, computed by hand.
    subtracting = stored.dictionary(subtracts_b_dec=True, input_scale=2.0)
    expected = (dictionary.encode(2 * _x() - dictionary.b_dec)).dense() @ dictionary.W_dec
    assert torch.allclose(subtracting(_x()), (expected + dictionary.b_dec) / 2, atol=1e-4)


def test_a_transcoder_of_one_threshold_comes_back_from_circuit_tracer(tmp_path):
    dictionary = BatchTopK(transcoder(0, 16), 48, k=6).requires_grad_(False)
    for tensor in dictionary.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape))
    dictionary.threshold.fill_(2.0)
    circuit_tracer.save([dictionary], tmp_path, model="tiny")
    (stored,) = find(tmp_path)
    loaded = stored.dictionary(subtracts_b_dec=False, input_scale=1.0)
    assert torch.allclose(loaded(_x()), dictionary(_x()), atol=1e-4)


def test_circuit_tracer_takes_no_gated_transcoders(tmp_path):
    with pytest.raises(TomogramError, match="kind 'gated', which circuit-tracer's format has not"):
        circuit_tracer.save([Gated(transcoder(0, 16), 48)], tmp_path, model="tiny")
    assert not list(tmp_path.iterdir())


def test_several_formats_are_found_below_one_folder(trained, tmp_path, model, text):
    saelens.save(trained[0], tmp_path / "a" / "resid", model="tiny", context=12)
    circuit_tracer.save(trained[1:], tmp_path / "b", model="tiny")
    names = [dictionary.name for dictionary in load(tmp_path, model, text)]
    assert names == [dictionary.name for dictionary in trained]


def _edit(folder: Path, **changes: object) -> None:
    path = folder / "cfg.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_wrongly_declared_subtraction_is_found_out(trained, tmp_path, model, text):
    dictionary = trained[0]
    saelens.save(dictionary, tmp_path, model="tiny", context=12)
    # The same weights with b_dec subtracted would need another encoder bias.
    _edit(tmp_path, apply_b_dec_to_input=True)
    (loaded,) = load(tmp_path, model, text)
    _assert_equal(loaded, dictionary)


def test_an_input_norm_is_measured_and_folded_away(trained, tmp_path, model, text):
    dictionary = trained[0]
    saelens.save(dictionary, tmp_path, model="tiny", context=12)
    tokens = torch.from_numpy(text.tokens.astype("int64"))
    with torch.no_grad():
        norms = model.run(tokens, capture=(RESID,))[RESID].norm(dim=-1)
    scale = 4 / norms.mean()  # 4 is the root of the width
    weights = load_file(tmp_path / saelens.WEIGHTS)
    weights["W_enc"] /= scale
    weights["W_dec"] *= scale
    weights["b_dec"] *= scale
    save_file(weights, tmp_path / saelens.WEIGHTS)
    _edit(tmp_path, normalize_activations="expected_average_only_in")
    (loaded,) = load(tmp_path, model, text)
    x = _x() * norms.mean() / 4
    assert torch.allclose(loaded(x), dictionary(x), rtol=1e-3, atol=1e-3)


def test_decoder_norms_are_taken_into_the_scores_where_the_file_says_so(trained, tmp_path):
    saelens.save(trained[0], tmp_path, model="tiny", context=12)
    weights = load_file(tmp_path / saelens.WEIGHTS)
    norms = torch.rand(48, 1) + 0.5
    weights["W_enc"] = weights["W_enc"] / norms.T
    weights["b_enc"] = weights["b_enc"] / norms[:, 0]
    weights["W_dec"] = weights["W_dec"] * norms
    save_file(weights, tmp_path / saelens.WEIGHTS)
    _edit(tmp_path, rescale_acts_by_decoder_norm=True)
    (stored,) = find(tmp_path)
    loaded = stored.dictionary(subtracts_b_dec=False, input_scale=1.0)
    assert torch.allclose(loaded(_x()), trained[0](_x()), atol=1e-4)


def _other_width(folder: Path) -> None:
    saelens.save(TopK(autoencoder(RESID, 8), 48, k=6), folder, model="other", context=12)


def _other_weights(folder: Path) -> None:
    dictionary = TopK(autoencoder(RESID, 16), 48, k=6)
    for parameter in dictionary.parameters():
        parameter.data = 10 * torch.randn(parameter.shape)
    saelens.save(dictionary, folder, model="other", context=12)


def _other_layer(folder: Path) -> None:
    dictionary = TopK(autoencoder(Site("resid_post", 7), 16), 48, k=6)
    saelens.save(dictionary, folder, model="other", context=12)


def _truncated(folder: Path) -> None:
    _other_weights(folder)
    path = folder / saelens.WEIGHTS
    path.write_bytes(path.read_bytes()[:200])


def _not_finite(folder: Path) -> None:
    _other_weights(folder)
    weights = load_file(folder / saelens.WEIGHTS)
    weights["W_enc"][3, 3] = float("nan")
    save_file(weights, folder / saelens.WEIGHTS)


def _wrong_shapes(folder: Path) -> None:
    _other_weights(folder)
    weights = load_file(folder / saelens.WEIGHTS)
    save_file(weights | {"b_enc": torch.zeros(3)}, folder / saelens.WEIGHTS)


def _no_decoder(folder: Path) -> None:
    _other_weights(folder)
    weights = load_file(folder / saelens.WEIGHTS)
    del weights["W_dec"]
    save_file(weights, folder / saelens.WEIGHTS)


def _broken_json(folder: Path) -> None:
    _other_weights(folder)
    (folder / "cfg.json").write_text("{")


def _unknown_architecture(folder: Path) -> None:
    _other_weights(folder)
    _edit(folder, architecture="temporal")


def _unknown_hook(folder: Path) -> None:
    _other_weights(folder)
    _edit(folder, metadata={"hook_name": "blocks.1.hook_nothing"})


def _no_k(folder: Path) -> None:
    _other_weights(folder)
    _edit(folder, k=0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: None, "holds no dictionary in a format known here"),
        (lambda folder: folder.rmdir(), "There is no folder of dictionaries"),
        (_other_width, "width 8, but the model's have 16: it belongs to another model"),
        (_other_weights, "does not reconstruct this model's activations under any convention"),
        (_other_layer, r"belongs to resid_post\.7, which tiny lacks"),
        (_truncated, "cannot be read as safetensors"),
        (_not_finite, "numbers in W_enc that are not finite"),
        (_wrong_shapes, r"b_enc has the shape \(3,\)"),
        (_no_decoder, "no tensor W_dec"),
        (_broken_json, "cannot be read as JSON"),
        (_unknown_architecture, "architecture 'temporal'"),
        (_unknown_hook, "hook_nothing"),
        (_no_k, "k must lie between"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_one_sentence(make, sentence, tmp_path, model, text):
    torch.manual_seed(0)
    folder = tmp_path / "source"
    folder.mkdir()
    make(folder)
    with pytest.raises(TomogramError, match=sentence) as error:
        load(folder, model, text)
    assert str(error.value).rstrip().endswith(".")


@pytest.mark.parametrize(
    ("name", "transcodes", "read", "write"),
    [
        ("layers.3", False, "resid_post.3", "resid_post.3"),
        ("layers.3.mlp", True, "mlp_in.3", "mlp_out.3"),
        ("layers.3.mlp", False, "mlp_out.3", "mlp_out.3"),
        ("model.layers.3.self_attn", True, "attn_in.3", "attn_out.3"),
        ("transformer.h.11", True, "resid_pre.11", "resid_post.11"),
    ],
)
def test_modules_name_sites(name, transcodes, read, write):
    assert tuple(map(str, hooks.from_module(name, transcodes=transcodes))) == (read, write)


def test_hook_names_go_both_ways():
    for kind in ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "mlp_in"):
        site = Site(kind, 4)
        assert hooks.from_transformer_lens(hooks.to_transformer_lens(site)) == site
    assert hooks.from_transformer_lens("hook_embed") == Site("embed")
