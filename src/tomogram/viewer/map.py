"""Map: where every unit that fires lies when neighbours write nearly the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tomogram.dictionaries.formats import own
from tomogram.pipeline.derived import derived
from tomogram.pipeline.searching import Search
from tomogram.report.tokens import visible
from tomogram.report.tomogram import Tomogram
from tomogram.store.atomic import write_bytes
from tomogram.store.digest import digest_array, digest_file
from tomogram.store.errors import TomogramError
from tomogram.viewer.directions import Directions, directions
from tomogram.viewer.projection import project

VERSION = 1
EXTENT = 4095
"""Largest coordinate; places are whole numbers from 0."""
_NONE = (
    "The scan was given its dictionaries and holds no copy of them. Name them with --dictionaries, "
    "and the map is drawn from them."
)
_ELSEWHERE = "No dictionary of this scan writes one place of the residual stream."


def drawn(search: Search) -> dict[str, Any]:
    """The map of a scan as the page shows it: of the scan's own dictionaries, or of those that it
    was given and the search was told of.

    It is drawn once, which takes some seconds, and kept in the scan's folder.

    Raises:
        TomogramError: the scan's files are damaged, its dictionaries are others, or another process
            writes to its folder.
    """
    tomogram = search.tomogram
    folder = tomogram.folder
    files = [*sorted((folder / "dictionaries").rglob("*.safetensors"))]
    given = search.dictionaries_source is not None
    if not files and not given:
        return {"families": [], "extent": EXTENT, "why": _NONE}
    # Which units fire is in the table.
    files.append(folder / "features" / "features.parquet")
    inputs: Any = {path.relative_to(folder).as_posix(): digest_file(path) for path in files}
    sizes = {group.name: group.units for group in tomogram.manifest.groups}
    rows = directions(search.dictionaries, sizes) if given else None
    if rows is not None:
        inputs["given"] = {each.family: digest_array(each.rows) for each in rows}

    def draw(work: Path) -> None:
        # A map that stands is shown without reading the scan's dictionaries.
        found = directions(own.read(folder / "dictionaries"), sizes) if rows is None else rows
        data = json.dumps(_draw(tomogram, found), allow_nan=False, separators=(",", ":"))
        write_bytes(work / "map.json", data.encode("ascii"))

    path = derived(folder, "map", VERSION, inputs, draw) / "map.json"
    try:
        shown: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TomogramError(f"{path} is damaged; remove its folder to draw it again.") from error
    return shown


def _draw(tomogram: Tomogram, found: Sequence[Directions]) -> dict[str, Any]:
    if not found:
        return {"families": [], "extent": EXTENT, "why": _ELSEWHERE}
    rows = np.concatenate([each.rows for each in found])
    places = (project(rows) * EXTENT).round().astype(int)
    fires = tomogram.features.query(
        "SELECT family::VARCHAR AS family, unit FROM features WHERE count > 0 ORDER BY family, unit"
    )
    live: dict[str, list[int]] = {}
    for row in fires:
        live.setdefault(row["family"], []).append(row["unit"])
    families, first = [], 0
    for each in found:
        units = live.get(each.family, [])
        own = places[first : first + len(each.rows)][units]
        families.append(
            {"family": visible(each.family), "layer": each.layer, "units": units,
             "x": own[:, 0].tolist(), "y": own[:, 1].tolist()}
        )  # fmt: skip
        first += len(each.rows)
    return {"families": families, "extent": EXTENT, "why": ""}
