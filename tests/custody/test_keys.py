"""Key files: closed to others, useless without the passphrase, bound to their public half."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tomogram.custody.keys import Key, new_key, read_identity, read_key, write_key
from tomogram.store.errors import TomogramError


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Key]:
    path, key = tmp_path_factory.mktemp("keys") / "a.key", new_key("auditor", "2030-12-31")
    write_key(key, path, "correct horse")
    return path, key


def changed(path: Path, tmp_path: Path, **values: object) -> Path:
    copy = tmp_path / "changed.key"
    copy.write_text(json.dumps(json.loads(path.read_text()) | values))
    copy.chmod(0o600)
    return copy


def test_a_key_comes_back_and_its_secret_is_nowhere_in_clear(written: tuple[Path, Key]) -> None:
    path, key = written
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path, "correct horse") == key
    assert read_identity(path.with_name("a.pub.json")) == key.identity
    assert key.secret.hex() not in path.read_text()
    assert key.secret.hex() not in repr(key)
    assert repr(key.secret) not in repr(key)


def test_a_wrong_passphrase(written: tuple[Path, Key]) -> None:
    with pytest.raises(TomogramError, match="passphrase"):
        read_key(written[0], "battery staple")


def test_a_file_that_others_can_read_is_refused(written: tuple[Path, Key], tmp_path: Path) -> None:
    copy = tmp_path / "open.key"
    copy.write_bytes(written[0].read_bytes())
    copy.chmod(0o640)
    with pytest.raises(TomogramError, match="chmod 600"):
        read_key(copy, "correct horse")


def test_another_public_half_is_noticed(written: tuple[Path, Key], tmp_path: Path) -> None:
    later = written[1].identity.model_dump() | {"last_day": "2099-12-31"}
    with pytest.raises(TomogramError, match="changed"):
        read_key(changed(written[0], tmp_path, identity=later), "correct horse")


@pytest.mark.parametrize("cost", [0, 3, 1 << 30, "many"])
def test_a_hostile_cost_is_not_paid(
    written: tuple[Path, Key], tmp_path: Path, cost: object
) -> None:
    kdf = {"name": "scrypt", "cost": cost, "salt": "00" * 16}
    with pytest.raises(TomogramError, match="not a key file"):
        read_key(changed(written[0], tmp_path, kdf=kdf), "correct horse")


def test_a_key_is_never_overwritten_and_never_without_passphrase(
    written: tuple[Path, Key], tmp_path: Path
) -> None:
    with pytest.raises(TomogramError, match="never overwritten"):
        write_key(written[1], written[0], "another")
    with pytest.raises(TomogramError, match="passphrase"):
        write_key(written[1], tmp_path / "b.key", "")


@pytest.mark.parametrize(("name", "day"), [("", "2030-12-31"), ("a", "soon"), ("a", "2030-2-3")])
def test_impossible_identities(name: str, day: str) -> None:
    with pytest.raises(TomogramError):
        new_key(name, day)


def test_only_the_right_key_opens_what_was_sealed(auditor: Key, lab: Key) -> None:
    sealed = auditor.identity.seal(b"share", b"purpose")
    assert auditor.open(sealed, b"purpose") == b"share"
    for key, purpose in ((lab, b"purpose"), (auditor, b"another")):
        with pytest.raises(TomogramError, match="does not open"):
            key.open(sealed, purpose)


def test_signatures(auditor: Key, lab: Key) -> None:
    signature = auditor.sign(b"row")
    assert auditor.identity.signed(b"row", signature)
    assert not auditor.identity.signed(b"another", signature)
    assert not lab.identity.signed(b"row", signature)
    assert not auditor.identity.signed(b"row", "no hex")


def test_the_last_day_is_a_day_of_use() -> None:
    identity = new_key("a", "2026-03-01").identity
    assert not identity.expired("2026-03-01T23:59:59Z")
    assert identity.expired("2026-03-02T00:00:00Z")
