"""Export: the pages as a folder that any web host serves and a double click opens.

From `file://` a browser loads neither modules nor data, but it does run classic scripts. So the
data lies in scripts, each of which hands one piece of JSON to the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from tomogram.store import progress
from tomogram.store.atomic import write_bytes
from tomogram.store.errors import TomogramError
from tomogram.viewer import bundle
from tomogram.viewer.content import Content
from tomogram.viewer.graphs import Graphs

CHUNK = 100
"""Units in a file."""
LIVE = (
    "This page runs the model, so it needs the server that tomogram view starts on the machine "
    "that has the scan."
)
POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'"
)


def export(content: Content, folder: Path, graphs: Graphs | None = None) -> Path:
    """Write the pages below a folder that is new, empty, or an earlier export; returns the page.

    Args:
        graphs: what the circuit page shows; those that cannot be read are only named.

    Raises:
        TomogramError: the folder holds something else, or cannot be written.
    """
    index = folder / "index.html"
    if folder.exists() and (
        not folder.is_dir() or (any(folder.iterdir()) and not (folder / "app.js").is_file())
    ):
        raise TomogramError(f"{folder} holds something else; export to a new folder.")
    for name in bundle.ASSETS:
        write_bytes(folder / name, bundle.asset(name))
    groups = content.tomogram.manifest.groups
    _chunk(folder, "about", content.about(live=LIVE, ways=("words",)))
    _chunk(folder, "findings", content.findings())
    _chunk(folder, "vocabulary", content.vocabulary())
    _chunk(folder, "listing", list(content.searched()))
    _chunk(folder, "map", content.map())
    _graphs(graphs or Graphs(), folder)
    total = sum(group.units for group in groups)
    with progress.task("pages", total=total, unit="features") as task:
        for number, group in enumerate(groups):
            _family(content, folder, number, group.name, task.advance)
    # Last, so that an export cut short does not look whole.
    write_bytes(index, bundle.index("chunks", POLICY))
    return index


def _graphs(graphs: Graphs, folder: Path) -> None:
    """The list of graphs, and each in a file under its number in the list."""
    listing = graphs.listing()
    _chunk(folder, "graphs", listing)
    for number, each in enumerate(listing):
        if each["state"] != "damaged":
            _chunk(folder, f"graph-{number}", graphs.one(graphs.files[number].stem))


def _family(
    content: Content, folder: Path, number: int, family: str, advance: Callable[[int], None]
) -> None:
    """The units of one family, `CHUNK` a file, under the family's number among all."""
    units = content.features(family)
    for chunk in range(1 << 30):
        some = list(islice(units, CHUNK))
        if not some:
            return
        _chunk(folder, f"features-{number}-{chunk}", some)
        advance(len(some))


def _chunk(folder: Path, name: str, value: Any) -> None:
    # ASCII, and no '<': nothing in it can end a script or be read in another encoding.
    data = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    script = f'tomogramChunk("{name}",{data});\n'
    write_bytes(folder / "data" / f"{name}.js", script.encode("ascii"))
