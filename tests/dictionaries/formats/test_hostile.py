"""Files made to mislead, to crash or to run code: each is answered with one sentence."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.dictionaries.formats.made import as_declared, randomised
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
from tomogram.dictionaries.formats.tensors import read_arrays, read_pickle
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.shape import autoencoder, cross_layer_transcoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

RESID = Site("resid_post", 1)


class _Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def _zip(path: Path, **entries: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def _lying_header(path: Path) -> None:
    true = _npy(np.zeros((4, 2), dtype=np.float32))
    _zip(path, **{"W_enc.npy": true.replace(b"(4, 2), ", b"(4, 2" + b"0" * 11 + b"), ")})


def _truncated(path: Path) -> None:
    np.savez(path, W_enc=np.zeros((40, 20), dtype=np.float32))
    path.write_bytes(path.read_bytes()[:-100])


def _flipped(path: Path) -> None:
    np.savez(path, W_enc=np.zeros((40, 20), dtype=np.float32))
    data = bytearray(path.read_bytes())
    data[400] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.write_bytes(b""), "cannot be read as an npz file"),
        (lambda path: path.write_bytes(b"PK\x05\x06 nothing"), "cannot be read"),
        (lambda path: path.write_bytes(_npy(np.zeros(3))), "cannot be read as an npz file"),
        (lambda path: _zip(path, **{"W_enc.npy": b"no array"}), "cannot be read as an npz"),
        (lambda path: _zip(path, **{"W_enc.npy": _npy(np.zeros(10**7))}), "would expand to"),
        (lambda path: np.savez(path, W_enc=np.zeros(3, dtype=complex)), "holds no numbers"),
        (lambda path: np.savez(path, W_enc=np.array(["a", "b"])), "holds no numbers"),
        (lambda path: np.savez(path, W_enc=np.array([1e300])), "not finite"),
        (_lying_header, "cannot be read as an npz file"),
        (_truncated, "cannot be read"),
        (_flipped, "cannot be read as an npz file"),
    ],
)
def test_hostile_archives_are_refused(tmp_path, make, sentence):
    path = tmp_path / "params.npz"
    make(path)
    with pytest.raises(TomogramError, match=sentence) as error:
        read_arrays(path)
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_objects_in_an_archive_are_not_unpickled(tmp_path):
    trap = np.empty(1, dtype=object)
    trap[0] = _Trap(tmp_path / "sprung")
    _zip(tmp_path / "params.npz", **{"W_enc.npy": _npy(trap)})
    with pytest.raises(TomogramError, match="cannot be read as an npz file"):
        read_arrays(tmp_path / "params.npz")
    assert not (tmp_path / "sprung").exists()


def _save(value: object) -> Callable[[Path], None]:
    return lambda path: torch.save(value, path)


def _squeezed(path: Path) -> None:
    plain = path.with_name("plain")
    torch.save({"W_enc": torch.zeros(10**7)}, plain)
    with zipfile.ZipFile(plain) as archive:
        _zip(path, **{name: archive.read(name) for name in archive.namelist()})


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.write_bytes(b""), "is damaged or holds more than tensors"),
        (lambda path: path.write_bytes(b"\x80\x04K\x01."), "is damaged or holds more than"),
        (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "is damaged or holds more than"),
        (_save([torch.zeros(3)]), "holds no tensors by name"),
        (_save({1: torch.zeros(3)}), "holds no tensors by name"),
        (_save({"W_enc": 3}), "W_enc is no plain tensor"),
        (_save({"W_enc": {"inner": torch.zeros(3)}}), "W_enc is no plain tensor"),
        (_save({"W_enc": torch.zeros(3, dtype=torch.complex64)}), "no plain tensor"),
        (_save({"W_enc": torch.eye(3).to_sparse()}), "no plain tensor"),
        # One stored number, seen as a trillion of them.
        (_save({"W_enc": torch.zeros(1).expand(10**6, 10**6)}), "no plain tensor"),
        (_save({"W_enc": torch.full((3,), torch.nan)}), "numbers in W_enc that are not finite"),
        (_save(torch.nn.Linear(2, 3)), "is damaged or holds more than tensors"),
        (_squeezed, "would expand to"),
    ],
)
def test_hostile_pickles_are_refused(tmp_path, make, sentence):
    path = tmp_path / "ae.pt"
    make(path)
    with pytest.raises(TomogramError, match=sentence) as error:
        read_pickle(path, allow_pickle=True)
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_an_allowed_pickle_runs_no_code(tmp_path, zipped):
    trap = {"W_enc": torch.zeros(3), "more": _Trap(tmp_path / "sprung")}
    torch.save(trap, tmp_path / "ae.pt", _use_new_zipfile_serialization=zipped)
    for allow in (False, True):
        with pytest.raises(TomogramError):
            read_pickle(tmp_path / "ae.pt", allow_pickle=allow)
    assert not (tmp_path / "sprung").exists()


def _make(form: str, root: Path) -> Path:
    """A whole folder of one format; returns its configuration."""
    autoencoding = randomised(TopK(autoencoder(RESID, 4), 8, k=2))
    match form:
        case "saelens":
            saelens.save(autoencoding, root, model="tiny", context=12)
            return root / saelens.CONFIG
        case "sparsify":
            sparsify.save(autoencoding, root / "layers.1")
            return root / "layers.1" / sparsify.CONFIG
        case "dictionary_learning":
            dictionary_learning.save(autoencoding, root, model="tiny")
            return root / dictionary_learning.CONFIG
        case "circuit_tracer":
            circuit_tracer.save([TopK(transcoder(0, 4), 8, k=2)], root, model="tiny")
            return root / circuit_tracer.CONFIG
    crossing = CrossLayerJumpReLU(cross_layer_transcoder(2, 4), 8)
    circuit_tracer_cross_layer.save(crossing, root, model="tiny")
    return root / circuit_tracer.CONFIG


FORMS = ["saelens", "sparsify", "dictionary_learning", "circuit_tracer", "cross_layer"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.sampled_from(["", "in", "topk", "blocks.1.mlp.hook_in", "x_layer_1", "9" * 5000])
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@pytest.mark.parametrize("form", FORMS)
@given(data=st.data())
def test_whatever_a_configuration_says_it_is_read_or_refused(tmp_path_factory, form, data):
    root = tmp_path_factory.mktemp(form)
    path = _make(form, root)
    config = yaml.safe_load(path.read_text())
    place = config["trainer"] if form == "dictionary_learning" else config
    if form == "saelens" and data.draw(st.booleans()):
        place = config["metadata"]
    key = data.draw(st.sampled_from([*sorted(place), "trainer", "buffer", "activation"]))
    place[key] = data.draw(JSON)
    path.write_text(json.dumps(config))
    # Any other exception is a bug.
    with suppress(TomogramError):
        for stored in find(root, allow_pickle=True):
            as_declared(stored)


@pytest.mark.parametrize("form", FORMS)
def test_configurations_nested_without_end_are_refused(tmp_path, form):
    _make(form, tmp_path).write_text("[" * 100_000)
    with pytest.raises(TomogramError, match="cannot be read as"):
        find(tmp_path, allow_pickle=True)


@given(data=st.binary(max_size=200))
def test_any_bytes_in_place_of_weights_are_refused(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("weights")
    gemma_scope.save(JumpReLU(autoencoder(RESID, 2), 4), root / "res" / "layer_1")
    (root / "res" / "layer_1" / "params.npz").write_bytes(data)
    with pytest.raises(TomogramError, match="cannot be read"):
        find(root)
    _make("dictionary_learning", root)
    (root / "ae.pt").write_bytes(data)
    with pytest.raises(TomogramError, match=r"damaged|by name|cannot"):
        find(root, allow_pickle=True)
