"""Map: where every unit that fires lies when neighbours write nearly the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tomogram.pipeline.derived import derived
from tomogram.report.tokens import visible
from tomogram.report.tomogram import Tomogram
from tomogram.store.atomic import write_bytes
from tomogram.store.digest import digest_file
from tomogram.store.errors import TomogramError
from tomogram.viewer.directions import directions
from tomogram.viewer.projection import project

VERSION = 1
EXTENT = 4095
"""Largest coordinate; places are whole numbers from 0."""
_NONE = (
    "The scan was given its dictionaries and holds no copy of them, so there is nothing here to "
    "draw a map from."
)


def drawn(tomogram: Tomogram) -> dict[str, Any]:
    """The map of a scan as the page shows it.

    It is drawn once, which takes some seconds, and kept in the scan's folder.

    Raises:
        TomogramError: the scan's files are damaged, or another process writes to its folder.
    """
    folder = tomogram.folder
    files = [*sorted((folder / "dictionaries").rglob("*.safetensors"))]
    if not files:
        return {"families": [], "extent": EXTENT, "why": _NONE}
    # Which units fire is in the table.
    files.append(folder / "features" / "features.parquet")
    inputs: Any = {path.relative_to(folder).as_posix(): digest_file(path) for path in files}

    def draw(work: Path) -> None:
        data = json.dumps(_draw(tomogram), allow_nan=False, separators=(",", ":"))
        write_bytes(work / "map.json", data.encode("ascii"))

    path = derived(folder, "map", VERSION, inputs, draw) / "map.json"
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TomogramError(f"{path} is damaged; remove its folder to draw it again.") from error
    return found


def _draw(tomogram: Tomogram) -> dict[str, Any]:
    sizes = {group.name: group.units for group in tomogram.manifest.groups}
    found = directions(tomogram.folder / "dictionaries", sizes)
    if not found:
        return {"families": [], "extent": EXTENT, "why": _NONE}
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
