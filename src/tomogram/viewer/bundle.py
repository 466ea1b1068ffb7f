"""Bundle: the page's own files, built from `web/` and shipped in the wheel."""

from __future__ import annotations

from importlib.resources import files

from tomogram.store.errors import TomogramError

_TYPES = {"css": "text/css", "js": "text/javascript", "html": "text/html"}


def asset(name: str) -> bytes:
    """One of `app.js`, `app.css` and `report.css`, the style the report shares.

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
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n' if policy else ""
    return (
        "<!doctype html>\n"
        f'<html lang="en" data-source="{source}">\n<head>\n<meta charset="utf-8">\n{meta}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        "<title>Tomogram</title>\n"
        '<link rel="icon" href="data:,">\n'
        '<link rel="stylesheet" href="report.css">\n<link rel="stylesheet" href="app.css">\n'
        "</head>\n<body>\n<noscript>This page needs scripts.</noscript>\n"
        '<script src="app.js"></script>\n</body>\n</html>\n'
    ).encode()
