"""Signatures over models, by the library of OpenSSF."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tomogram.custody.model_signature import sign_model, verify_model
from tomogram.store.errors import TomogramError

pytest.importorskip("model_signing", reason="the extra `signing` is not installed")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(1000))
    return folder


def keys(folder: Path, name: str) -> tuple[Path, Path]:
    """Private and public half of a new P-256 key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    pem = serialization.Encoding.PEM
    private.write_bytes(
        key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def test_a_signed_model_and_what_was_changed(model: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "lab")
    signature = model / "model.sig"
    sign_model(model, signature, private, "word")
    verify_model(model, signature, public)
    with pytest.raises(TomogramError, match="not the model"):
        verify_model(model, signature, keys(tmp_path, "other")[1])
    (model / "model.safetensors").write_bytes(bytes(999) + b"\x01")
    with pytest.raises(TomogramError, match="not the model"):
        verify_model(model, signature, public)


def test_a_file_more(model: Path, tmp_path: Path) -> None:
    private, public = keys(tmp_path, "lab")
    sign_model(model, tmp_path / "model.sig", private, "word")
    (model / "extra.bin").write_bytes(b"x")
    with pytest.raises(TomogramError, match="not the model"):
        verify_model(model, tmp_path / "model.sig", public)


def test_a_key_that_cannot_be_used(model: Path, tmp_path: Path) -> None:
    private, _ = keys(tmp_path, "lab")
    for key, password in ((private, "wrong"), (tmp_path / "none.pem", None)):
        with pytest.raises(TomogramError, match="could not be signed"):
            sign_model(model, tmp_path / "model.sig", key, password)
