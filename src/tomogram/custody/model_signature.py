"""Sign a model's folder in the format of OpenSSF model-signing, so that others can verify it.

By the library `model-signing` (extra `signing`), which identifies the model by a manifest of its
files' digests. That format knows no Ed25519, so the key is an elliptic-curve key in a PEM file.
"""

from __future__ import annotations

from pathlib import Path

from tomogram.store.errors import TomogramError


def sign_model(folder: Path, signature: Path, private_key: Path, password: str | None) -> None:
    """Sign all files of a model's folder and write the signature beside or inside it.

    private_key: an elliptic-curve key (P-256, P-384 or P-521) in PEM, as `openssl ecparam` makes.
    Raises TomogramError where the library is missing, or the key or the folder cannot be used.
    """
    signing = _library("signing")
    try:
        config = signing.Config()
        # Bytes, although the library says str: it hands the password on as it is.
        word = None if password is None else password.encode()
        config.use_elliptic_key_signer(private_key=private_key, password=word)
        config.set_hashing_config(_hashing([signature]))
        config.sign(folder, signature)
    except (OSError, ValueError, TypeError) as error:
        raise TomogramError(f"{folder} could not be signed: {_told(error)}.") from error


def verify_model(folder: Path, signature: Path, public_key: Path) -> None:
    """Check that a model's folder is the one that was signed with this key.

    Raises TomogramError where it is not, or the library is missing.
    """
    verifying = _library("verifying")
    try:
        config = verifying.Config()
        config.use_elliptic_key_verifier(public_key=public_key)
        config.set_hashing_config(_hashing([signature]))
        config.verify(folder, signature)
    except Exception as error:  # the library lets many kinds through, some of them its bugs
        raise TomogramError(
            f"{folder} is not the model that was signed: {_told(error)}."
        ) from error


def _hashing(ignored: list[Path]) -> object:
    return _library("hashing").Config().set_ignored_paths(paths=ignored, ignore_git_paths=True)


def _library(part: str):  # type: ignore[no-untyped-def]  # the library has no types
    try:
        import model_signing.hashing
        import model_signing.signing
        import model_signing.verifying
    except ImportError as error:
        raise TomogramError(
            "Signing models needs an extra: pip install 'tomogram[signing]'."
        ) from error
    return getattr(model_signing, part)


def _told(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
