"""Which requests are refused before anything is looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomogram.viewer.guard import HEADERS, is_plain, refusal

OWN = {"Host": "127.0.0.1:4747"}


@pytest.mark.parametrize(
    "host", ["127.0.0.1:4747", "localhost:4747", "LOCALHOST:4747", "[::1]:4747"]
)
def test_our_own_names_are_answered(host: str) -> None:
    assert refusal("/", {"Host": host}, 4747) == ""
    assert refusal("/", {"Host": host, "Origin": f"http://{host}"}, 4747) == ""


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example", "evil.example:4747", "127.0.0.1", "127.0.0.1:80", "localhost:4748",
     "127.0.0.1:4747.evil.example", "127.0.0.1.evil.example:4747", "0.0.0.0:4747", "127.1:4747",
     "user@127.0.0.1:4747", " 127.0.0.1:4747"],
)  # fmt: skip
def test_foreign_hosts_are_refused(host: str | None) -> None:
    assert refusal("/", {"Host": host}, 4747)
    assert refusal("/api/about", {"Host": host}, 4747)


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://evil.example", "https://127.0.0.1:4747", "http://127.0.0.1",
     "http://127.0.0.1:8888", "http://127.0.0.1:4747.evil.example", "file://"],
)  # fmt: skip
def test_foreign_origins_are_refused(origin: str) -> None:
    assert refusal("/", {**OWN, "Origin": origin}, 4747)


def test_data_goes_to_our_own_page_only_but_links_to_the_page_work() -> None:
    for site in ("cross-site", "same-site"):
        assert refusal("/api/about", {**OWN, "Sec-Fetch-Site": site}, 4747)
        assert refusal("/", {**OWN, "Sec-Fetch-Site": site}, 4747) == ""
    for site in ("same-origin", "none"):
        assert refusal("/api/about", {**OWN, "Sec-Fetch-Site": site}, 4747) == ""


@pytest.mark.parametrize(
    "path",
    ["/../etc/passwd", "/..", "/%2e%2e/etc/passwd", "/a/%2fetc", "/a\\b", "//etc/passwd", "/a\x00",
     "/api/feature/..%5c", "a", "/é", "/a//b"],
)  # fmt: skip
def test_paths_that_are_not_plain_are_refused(path: str) -> None:
    assert not is_plain(path)
    assert refusal(path, OWN, 4747)


@given(st.text(max_size=40))
def test_a_plain_path_never_leaves_its_folder(path: str) -> None:
    if is_plain(path):
        assert path.isascii()
        assert ".." not in path.split("/")
        assert "\\" not in path
        assert "%" not in path


def test_the_policy_lets_nothing_in_from_outside() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
