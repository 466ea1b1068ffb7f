"""Bundle: the page's own files, built from `web/` and shipped in the wheel."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from tomogram.store.errors import TomogramError

_TYPES = {"css": "text/css", "js": "text/javascript", "html": "text/html"}


def asset(name: str) -> bytes:
    """One of `app.js`, `app.css`, `widget.js` and `report.css`, the style the report shares.

    Raises:
        TomogramError: this installation was made without the viewer.
    """
    if name == "report.css":
        found = files("tomogram.report").joinpath("template", "style.css")
    else:
        found = files("tomogram.viewer").joinpath("built", name)
    try:
        return found.read_bytes()
    except OSError as error:
        raise TomogramError(
            f"The viewer's {name} is not part of this installation; build it with "
            "`npm ci && npm run build` in web/."
        ) from error


ASSETS = ("app.js", "app.css", "report.css")


def media_type(name: str) -> str:
    """What a browser is told a file is."""
    return f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8"


def index(source: str, policy: str = "") -> bytes:
    """The page itself: nothing but the frame that the script fills.

    Args:
        source: `server` where data is asked of the server, `chunks` where it lies in scripts.
        policy: content-security policy, where no server can send it.
    """
    styles = "".join(
        f'<link rel="stylesheet" href="{name}">\n' for name in ("report.css", "app.css")
    )
    return _page(source, policy, styles, '<script src="app.js"></script>').encode()


def whole(source: str) -> str:
    """The page with script and styles in it, as one document that loads nothing at all.

    Args:
        source: `frame` where data is asked of the page around it.
    """
    script = asset("app.js").decode().replace("</script", "<\\/script")
    style = (asset("report.css") + asset("app.css")).decode()
    policy = (
        f"default-src 'none'; script-src {_source(script)}; style-src {_source(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return _page(source, policy, f"<style>{style}</style>\n", f"<script>{script}</script>")


def _page(source: str, policy: str, styles: str, script: str) -> str:
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n' if policy else ""
    return (
        "<!doctype html>\n"
        f'<html lang="en" data-source="{source}">\n<head>\n<meta charset="utf-8">\n{meta}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        "<title>Tomogram</title>\n"
        f'<link rel="icon" href="data:,">\n{styles}'
        "</head>\n<body>\n<noscript>This page needs scripts.</noscript>\n"
        f"{script}\n</body>\n</html>\n"
    )


def _source(text: str) -> str:
    """How a content-security policy names a script or a style by its digest."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
