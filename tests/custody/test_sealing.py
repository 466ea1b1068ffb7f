"""Shares and parts: who can open a shard, and who cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.custody.lamps import Darkness
from tests.custody.conftest import TERMS
from tomogram.custody import sealing
from tomogram.custody import suite as suites
from tomogram.custody.keys import Key, new_key
from tomogram.store.errors import TomogramError

SHARES = (b"a" * 32, b"b" * 32)


def parts(shard: str) -> list[bytes]:
    return [sealing.part(share, shard) for share in SHARES]


def secret(shard: str) -> bytes:
    return sealing.joined(parts(shard))


def test_all_parts_open_a_shard_and_no_fewer() -> None:
    sealed = sealing.encrypt(secret("run-1"), "run-1", b"draws")
    assert sealing.decrypt(secret("run-1"), "run-1", sealed) == b"draws"
    one, two = parts("run-1")
    for wrong in ([one], [two], [two, one], [one, one], [], [one, two, two]):
        with pytest.raises(TomogramError, match="run-1"):
            sealing.decrypt(sealing.joined(wrong), "run-1", sealed)


def test_a_part_opens_its_own_shard_alone() -> None:
    sealed = sealing.encrypt(secret("release"), "release", b"draws")
    for one, two in ((parts("run-1")[0], parts("release")[1]), tuple(parts("run-1"))):
        with pytest.raises(TomogramError):
            sealing.decrypt(sealing.joined([one, two]), "release", sealed)


def test_every_changed_byte_is_noticed() -> None:
    sealed = sealing.encrypt(secret("run-1"), "run-1", b"draws")
    for i in range(len(sealed)):
        with pytest.raises(TomogramError):
            sealing.decrypt(
                secret("run-1"), "run-1", sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1 :]
            )


def test_a_share_and_a_part_are_for_one_custodian_one_suite_one_shard(
    auditor: Key, lab: Key
) -> None:
    share = sealing.new_share()
    sealed = sealing.seal_share("lamps", share, auditor.identity)
    assert sealing.open_share("lamps", sealed, auditor) == share
    handed = sealing.hand_over("lamps", "run-1", sealing.part(share, "run-1"), lab.identity)
    assert sealing.handed_over("lamps", "run-1", handed, lab) == sealing.part(share, "run-1")
    for attempt in (
        lambda: sealing.open_share("lamps", sealed, lab),
        lambda: sealing.open_share("other", sealed, auditor),
        lambda: sealing.handed_over("lamps", "run-1", handed, auditor),
        lambda: sealing.handed_over("lamps", "run-2", handed, lab),
        lambda: sealing.open_share("lamps", handed, lab),
    ):
        with pytest.raises(TomogramError):
            attempt()


def test_no_file_of_a_suite_shows_its_draws(tmp_path: Path, auditor: Key) -> None:
    """Draws are numbers of many digits; none of them, nor a salt, stands in any file in clear."""
    seen: list[str] = []

    class Watched(Darkness):
        def draw(self, random):  # type: ignore[no-untyped-def]
            drawn = super().draw(random)
            seen.append(repr(drawn["night"]))  # type: ignore[call-overload, index]
            return drawn

    suites.new(tmp_path / "s", "lamps", {Watched(): 0.5}, TERMS, key=auditor)
    files = [path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()]
    assert len(seen) == 3 * TERMS.clusters
    assert not any(drawn.encode() in data for drawn in seen for data in files)


def test_a_stranger_opens_no_shard(suite: Path, auditor: Key) -> None:
    loaded = suites.load(suite)
    with pytest.raises(TomogramError, match="lacks the file"):
        suites.read_share(suite, loaded, new_key("stranger", "2027-12-31"))
    share = suites.read_share(suite, loaded, auditor)
    for shard in loaded.shards:
        opened = suites.open_shard(suite, loaded, shard, [sealing.part(share, shard.name)])
        assert opened.root() == shard.root
        with pytest.raises(TomogramError):
            suites.open_shard(suite, loaded, shard, [sealing.part(b"x" * 32, shard.name)])
