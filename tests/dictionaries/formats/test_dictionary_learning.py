"""dictionary_learning: what each of its classes means, and what comes back."""

from __future__ import annotations

import json
from math import log
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.dictionaries.formats.made import activations, as_declared, mirrored, randomised
from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import dictionary_learning, saelens
from tomogram.dictionaries.formats.load import find, load
from tomogram.dictionaries.formats.stored import Stored
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.matryoshka import Matryoshka
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.shape import autoencoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

RESID = Site("resid_post", 1)

ENCODER = [[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]]
B_ENC, B_DEC = [0.0, 0.5, -1.0], [1.0, 0.0]
DECODER = [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]


def _turned(rows: list[list[float]]) -> list[list[float]]:
    return [list(column) for column in zip(*rows, strict=True)]


LINEAR = {"encoder.weight": ENCODER, "decoder.weight": _turned(DECODER)}
BARE = {"W_enc": _turned(ENCODER), "b_enc": B_ENC, "W_dec": DECODER, "b_dec": B_DEC}
BIASED = {"encoder.bias": B_ENC, "b_dec": B_DEC}
GATED = {
    "decoder_bias": B_DEC,
    "gate_bias": [0.0, -2.0, 0.0],
    "r_mag": [log(2), 0.0, 0.0],
    "mag_bias": [0.5, 0.0, 0.0],
}


def _write(folder: Path, weights: dict[str, object], **trainer: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    trainer = {"layer": 1, "submodule_name": "resid_post_layer_1"} | trainer
    (folder / "config.json").write_text(json.dumps({"trainer": trainer}))
    torch.save({name: torch.tensor(value) for name, value in weights.items()}, folder / "ae.pt")
    return folder


def _only(folder: Path) -> Stored:
    (stored,) = find(folder, allow_pickle=True)
    return stored


# For x = (3, 1), scores of x − b_dec are (2, 1.5, −2) and those of x itself (3, 1.5, −3).
@pytest.mark.parametrize(
    ("name", "weights", "trainer", "expected"),
    [
        ("AutoEncoder", LINEAR | {"encoder.bias": B_ENC, "bias": B_DEC}, {}, [3.0, 3.0]),
        (
            "AutoEncoderNew",
            LINEAR | {"encoder.bias": B_ENC, "decoder.bias": B_DEC},
            {},
            [4.0, 3.0],
        ),
        # Gates (2, −1, −1): only the first is open, with 2 · 2 + 1/2.
        ("GatedAutoEncoder", LINEAR | GATED, {}, [5.5, 0.0]),
        ("JumpReluAutoEncoder", BARE | {"threshold": [1.0, 2.0, 0.0]}, {}, [4.0, 0.0]),
        ("AutoEncoderTopK", LINEAR | BIASED | {"k": 1, "threshold": -1.0}, {"k": 1}, [3.0, 0.0]),
        ("AutoEncoderTopK", LINEAR | BIASED, {"k": 2}, [3.0, 3.0]),
        ("BatchTopKSAE", LINEAR | BIASED | {"k": 1, "threshold": 1.75}, {"k": 1}, [3.0, 0.0]),
        # No threshold was known yet when it was saved.
        ("BatchTopKSAE", LINEAR | BIASED | {"k": 1, "threshold": -1.0}, {"k": 1}, [3.0, 3.0]),
        (
            "MatryoshkaBatchTopKSAE",
            BARE | {"k": 1, "threshold": 1.75, "group_sizes": [1, 2]},
            {"k": 1},
            [3.0, 0.0],
        ),
    ],
)
def test_classes_mean_what_the_library_computes(tmp_path, name, weights, trainer, expected):
    stored = _only(_write(tmp_path, weights, dict_class=name, **trainer))
    x = torch.tensor([[3.0, 1.0]])
    assert torch.allclose(as_declared(stored)(x), torch.tensor([expected]), atol=1e-6)


KINDS = {
    "relu": (ReLU, {}),
    "gated": (Gated, {}),
    "topk": (TopK, {"k": 2}),
    "batch_topk": (BatchTopK, {"k": 2}),
    "jumprelu": (JumpReLU, {}),
    "matryoshka": (Matryoshka, {"k": 2}),
}


def _build(kind: str, site: Site, width: int, latents: int) -> Dictionary:
    made, options = KINDS[kind]
    prefixes = {"prefixes": (2, latents)} if kind == "matryoshka" else {}
    return made(autoencoder(site, width), latents, **options, **prefixes)


@given(
    kind=st.sampled_from(sorted(KINDS)),
    width=st.integers(1, 6),
    latents=st.integers(3, 9),
    site=st.sampled_from([RESID, Site("mlp_out", 0), Site("attn_out", 11), Site("embed")]),
    seed=st.integers(0, 99),
)
def test_what_is_saved_comes_back(tmp_path_factory, kind, width, latents, site, seed):
    dictionary = randomised(_build(kind, site, width, latents), seed)
    root = tmp_path_factory.mktemp("saved")
    dictionary_learning.save(dictionary, root, model="tiny")
    loaded = as_declared(_only(root))
    assert (loaded.kind, loaded.shape) == (dictionary.kind, dictionary.shape)
    if "k" in dictionary.config():
        assert loaded.config() == dictionary.config()
    x = torch.randn(30, width, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(loaded(x), dictionary(x), atol=1e-4)


def test_a_relu_dictionary_is_saved_with_rows_of_norm_one_and_none_that_is_zero(tmp_path):
    dictionary = randomised(ReLU(autoencoder(RESID, 4), 6))
    dictionary.W_dec[3] = 0
    dictionary_learning.save(dictionary, tmp_path, model="tiny")
    stored = _only(tmp_path)
    assert torch.allclose(stored.W_dec.norm(dim=1), torch.ones(6))
    x = torch.randn(30, 4)
    assert torch.allclose(as_declared(stored)(x), dictionary(x), atol=1e-5)


def test_its_configuration_says_what_the_library_and_its_users_look_for(tmp_path):
    dictionary = _build("matryoshka", RESID, 4, 8)
    dictionary_learning.save(dictionary, tmp_path, model="tiny")
    trainer = json.loads((tmp_path / "config.json").read_text())["trainer"]
    assert trainer == {
        "trainer_class": "MatryoshkaBatchTopKTrainer",
        "dict_class": "MatryoshkaBatchTopKSAE",
        "activation_dim": 4,
        "dict_size": 8,
        "k": 2,
        "layer": 1,
        "lm_name": "tiny",
        "submodule_name": "resid_post_layer_1",
    }
    assert torch.load(tmp_path / "ae.pt", weights_only=True)["group_sizes"].tolist() == [2, 6]


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("declared", [True, False])
def test_the_convention_is_measured(kind, declared, tmp_path, model, text):
    x = activations(model, text, RESID)
    options = {"k": 16} if "topk" in kind or kind == "matryoshka" else {}
    options |= {"prefixes": (16, 32)} if kind == "matryoshka" else {}
    dictionary = mirrored(KINDS[kind][0](autoencoder(RESID, 16), 32, **options), x, x)
    # A bias large enough to matter.
    dictionary_learning.save(_moved(dictionary, x.std()), tmp_path, model="tiny")
    if not declared:
        _undo_subtraction(tmp_path)
    (loaded,) = load(tmp_path, model, text, allow_pickle=True)
    assert torch.allclose(loaded(x), x, atol=1e-3)


def _moved(dictionary: Dictionary, offset: torch.Tensor) -> Dictionary:
    """The same autoencoder of x around another b_dec."""
    dictionary.b_dec.add_(offset)
    dictionary.shift_input(torch.full_like(dictionary.b_dec, float(offset)))
    return dictionary


def _undo_subtraction(folder: Path) -> None:
    """Writes the weights as if the class did not subtract b_dec, which it declares."""
    weights = torch.load(folder / "ae.pt", weights_only=True)
    b_dec = next(weights[name] for name in ("b_dec", "bias", "decoder_bias") if name in weights)
    linear = "encoder.weight" in weights
    seen = (weights["encoder.weight"] if linear else weights["W_enc"].T) @ b_dec
    sign = 1.0 if "threshold" in weights and weights["threshold"].ndim == 1 else -1.0
    for name in ("encoder.bias", "b_enc", "gate_bias", "mag_bias"):
        if name in weights:
            weights[name] += sign * seen
    torch.save(weights, folder / "ae.pt")


@pytest.mark.parametrize(
    ("config", "site"),
    [
        ({"trainer": {"submodule_name": "resid_post_layer_8", "layer": 8}}, "resid_post.8"),
        ({"trainer": {"submodule_name": "mlp_out_layer3"}}, "mlp_out.3"),
        ({"trainer": {"submodule_name": "resid_out_layer2"}}, "resid_post.2"),
        ({"trainer": {"submodule_name": "attn_layer_0"}}, "attn_out.0"),
        ({"trainer": {"submodule_name": "embed"}}, "embed"),
        ({"trainer": {"submodule_name": "model.layers.4.mlp"}}, "mlp_out.4"),
        ({"trainer": {"submodule_name": None, "layer": 5}}, "resid_post.5"),
        ({"trainer": {"layer": 5}, "buffer": {"io": "in"}}, "resid_pre.5"),
    ],
)
def test_configurations_say_where_a_dictionary_belongs(tmp_path, config, site):
    _write(tmp_path, LINEAR | {"encoder.bias": B_ENC, "bias": B_DEC})
    config["trainer"]["dict_class"] = "AutoEncoder"
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert [str(found) for found in _only(tmp_path).reads] == [site]


def test_pickles_are_refused_unless_asked_for(tmp_path, model, text):
    dictionary_learning.save(_build("topk", RESID, 16, 32), tmp_path, model="tiny")
    with pytest.raises(TomogramError, match=r"ae\.pt is a pickle.*allow pickles"):
        load(tmp_path, model, text)


def test_a_folder_with_plain_files_needs_no_pickle(tmp_path):
    dictionary = randomised(_build("relu", RESID, 4, 8))
    dictionary_learning.save(dictionary, tmp_path, model="tiny")
    saelens.save(dictionary, tmp_path, model="tiny", context=12)
    (stored,) = find(tmp_path)
    x = torch.randn(9, 4)
    assert torch.allclose(as_declared(stored)(x), dictionary(x), atol=1e-5)


def test_what_the_library_cannot_express_is_refused(tmp_path):
    with pytest.raises(TomogramError, match="no autoencoder"):
        dictionary_learning.save(TopK(transcoder(1, 4), 8, k=2), tmp_path, model="tiny")
    assert not list(tmp_path.iterdir())


TOPK = LINEAR | BIASED | {"threshold": -1.0}


@pytest.mark.parametrize(
    ("weights", "trainer", "sentence"),
    [
        (TOPK, {"dict_class": "CrossCoder"}, "class 'CrossCoder', which is not known"),
        (TOPK, {"dict_class": ["AutoEncoder"]}, "which is not known"),
        (TOPK, {"dict_class": "AutoEncoder"}, "no tensor bias"),
        (TOPK, {"dict_class": "AutoEncoderTopK"}, "k is None, which is no whole number"),
        (TOPK, {"dict_class": "AutoEncoderTopK", "k": 4}, "k must lie between 1 and the 3"),
        (TOPK | {"k": 1}, {"dict_class": "AutoEncoderTopK", "k": 2}, "says that k is 1, its"),
        (TOPK | {"k": [1, 1]}, {"dict_class": "AutoEncoderTopK"}, "no whole number"),
        (TOPK | {"threshold": [0.0] * 3, "k": 1}, {"dict_class": "BatchTopKSAE"}, "threshold has"),
        (TOPK | {"b_dec": [0.0]}, {"dict_class": "AutoEncoderTopK", "k": 1}, "b_dec has the shape"),
        (
            BARE | {"k": 1, "threshold": 0.0, "group_sizes": [1, 1]},
            {"dict_class": "MatryoshkaBatchTopKSAE"},
            "must grow and end with the 3 latents",
        ),
        (
            LINEAR | {"encoder.bias": B_ENC, "bias": B_DEC, "encoder.weight": [1.0]},
            {"dict_class": "AutoEncoder"},
            r"encoder\.weight has 1 dimensions",
        ),
        (
            LINEAR | {"encoder.bias": B_ENC, "bias": B_DEC},
            {"dict_class": "AutoEncoder", "submodule_name": "nowhere_layer_1"},
            "no place this program knows",
        ),
        (
            LINEAR | {"encoder.bias": B_ENC, "bias": B_DEC},
            {"dict_class": "AutoEncoder", "submodule_name": ["resid"]},
            "no place this program knows",
        ),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_one_sentence(tmp_path, weights, trainer, sentence):
    _write(tmp_path, weights, **trainer)
    with pytest.raises(TomogramError, match=sentence) as error:
        as_declared(_only(tmp_path))
    assert str(error.value).endswith(".")


def test_transcoders_and_files_without_a_trainer_are_refused(tmp_path):
    weights = LINEAR | {"encoder.bias": B_ENC, "bias": B_DEC}
    _write(tmp_path, weights, dict_class="AutoEncoder")
    trainer = {"dict_class": "AutoEncoder", "layer": 1}
    for config, sentence in (
        ({"trainer": trainer, "buffer": {"io": "in_and_out"}}, "holds a transcoder"),
        ({"buffer": {}}, "no description of a trainer"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(TomogramError, match=sentence):
            _only(tmp_path)
