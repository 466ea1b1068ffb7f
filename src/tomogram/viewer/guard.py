"""Guard: which requests are answered. The server is for the browser on this machine only.

A foreign page can make a browser send requests here, and by DNS rebinding even read the answers
under its own name; so the Host must be ours to the letter, the Origin must be ours where there is
one, and data is given only to what the browser calls our own page (Fetch Metadata).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Sent with every answer."""
LOOKED_AT = ("Host", "Origin", "Sec-Fetch-Site")
"""The headers that decide whether a request is answered."""
_NAMES = ("127.0.0.1", "localhost", "[::1]")
_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)*/?")


def refusal(path: str, headers: Mapping[str, str | None], port: int) -> str:
    """Why a request must be refused, in one sentence; empty where it is answered.

    Args:
        path: of the request, without its query.
        headers: by name; only Host, Origin and Sec-Fetch-Site are looked at.
        port: that the server listens on.
    """
    hosts = {f"{name}:{port}" for name in _NAMES}
    if port == 80:
        hosts |= set(_NAMES)
    if (headers.get("Host") or "").lower() not in hosts:
        return "This server answers to its loopback address only."
    origin = headers.get("Origin")
    if origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
        return "Another page has no business here."
    if path.startswith("/api/"):
        site = headers.get("Sec-Fetch-Site")
        if site is not None and site not in ("same-origin", "none"):
            return "Another page has no business here."
    if not is_plain(path):
        return "There is no such page."
    return ""


def is_plain(path: str) -> bool:
    """Whether a path has only plain names in it: nothing encoded, nothing that climbs."""
    return _PATH.fullmatch(path) is not None and ".." not in path
