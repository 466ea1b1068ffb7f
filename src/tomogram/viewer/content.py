"""Content: what the pages are made of, as JSON, for the server and the export alike.

Every string from a model, a text or a file is made visible here (`report.tokens`): no control
character, no direction mark and no endless token leaves this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from tomogram.features.exemplars import excerpt
from tomogram.features.statistics import bin_edges
from tomogram.report import pictures
from tomogram.report.charts.picture import Picture
from tomogram.report.page import comparison, readings
from tomogram.report.tokens import inert, visible
from tomogram.report.tomogram import Tomogram
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText
from tomogram.viewer.catalogue import Catalogue, Key, listed
from tomogram.viewer.directions import Directions, directions, scanned_dictionaries
from tomogram.viewer.projection import project

_CONCEPTS = 3


class Content:
    """The pages' data of one finished scan.

    Every method raises TomogramError where a file it needs is missing, damaged or too new.
    """

    def __init__(self, tomogram: Tomogram) -> None:
        self.tomogram = tomogram
        self.catalogue = Catalogue(tomogram.features, tomogram.spelling)
        # Drawing the map takes seconds, and other pages must not wait for it.
        self._reading, self._drawing = Lock(), Lock()

    @cached_property
    def text(self) -> PackedText:
        """The text that exemplars are positions in."""
        return self.tomogram.text

    @cached_property
    def directions(self) -> Directions:
        """What the scan's own dictionaries write; empty where it was given its dictionaries."""
        found = scanned_dictionaries(self.tomogram.folder / "dictionaries")
        return directions(found, {g.name: g.units for g in self.tomogram.manifest.groups})

    def about(self, *, live: str) -> dict[str, Any]:
        """The scan as a whole: the manifest, its families of units, and all charts.

        Args:
            live: why the pages that need the model cannot work; empty where they can.
        """
        manifest = self.tomogram.manifest
        scores = {
            kind: [
                row["score"]
                for row in self.catalogue.query(
                    "SELECT label_f1 AS score FROM features"
                    " WHERE kind = ? AND label_f1 IS NOT NULL AND count > 0",
                    [kind],
                )
            ]
            for kind in ("latent", "neuron")
        }
        chapters = {
            "coverage": pictures.coverage(manifest),
            "anatomy": pictures.anatomy(manifest),
            "neurons": pictures.neurons_and_features(manifest, scores["latent"], scores["neuron"]),
            "quality": pictures.quality(manifest),
        }
        record = shown(manifest.model_dump(mode="json", exclude={"files"}))
        return {
            **{name: record[name] for name in ("model", "text", "plan", "run", "not_measured")},
            "dictionaries": record["dictionaries"],
            "families": record["groups"],
            "readings": [
                {"value": r.value, "words": r.words, "detail": r.detail} for r in readings(manifest)
            ],
            "comparison": comparison(manifest),
            "chapters": {name: [_picture(p) for p in found] for name, found in chapters.items()},
            "edges": bin_edges().tolist(),
            "live": live,
        }

    def vocabulary(self) -> list[str]:
        """How each token reads, made inert."""
        return [inert(word) for word in self.tomogram.spelling]

    def feature(self, family: str, unit: int) -> dict[str, Any]:
        """All that its own page shows of one unit.

        Raises:
            TomogramError: there is no such unit.
        """
        row = self.catalogue.unit(family, unit)
        exemplars = self.catalogue.exemplars(family, [unit])
        with self._reading:
            found = self.directions
        return self._feature(row, exemplars, found.similar(family, unit),
                             found.neighbours(family, unit))  # fmt: skip

    def features(self, family: str) -> Iterator[dict[str, Any]]:
        """The pages' data of all units of a family, in the order of their numbers."""
        by_unit: dict[int, list[dict[str, Any]]] = {}
        for exemplar in self.catalogue.exemplars(family):
            by_unit.setdefault(exemplar["unit"], []).append(exemplar)
        rows = self.catalogue.query(
            "SELECT * FROM features WHERE family = ? ORDER BY unit", [family]
        )
        for row in rows:
            unit = row["unit"]
            yield self._feature(row, by_unit.get(unit, []), self.directions.similar(family, unit),
                                self.directions.neighbours(family, unit))  # fmt: skip

    def _feature(
        self,
        row: Mapping[str, Any],
        exemplars: Sequence[Mapping[str, Any]],
        similar: Sequence[tuple[Key, float]],
        neighbours: Sequence[tuple[str, Sequence[tuple[Key, float]]]],
    ) -> dict[str, Any]:
        near = [*similar, *(pair for _, found in neighbours for pair in found)]
        glances = self.catalogue.glances([key for key, _ in near])
        label = None
        if row["label"] is not None:
            names = ("kind", "n_marks", "f1", "f1_low", "f1_high", "f1_n", "precision", "recall",
                     "balanced_accuracy")  # fmt: skip
            label = {name: row[f"label_{name}"] for name in names}
        return {
            **listed(_brief(row)),
            "tokens": row["tokens"],
            "deviation": row["deviation"],
            "histogram": row["histogram"],
            "promoted": _pairs(row["promoted"], row["promoted_by"]),
            "suppressed": _pairs(row["suppressed"], row["suppressed_by"]),
            "rule": label,
            "top": [self._exemplar(e) for e in exemplars if e["kind"] == "top"],
            "spread": self._by_octave([e for e in exemplars if e["kind"] == "spread"]),
            "similar": [{**glances[key], "cosine": round(c, 4)} for key, c in similar],
            "neighbours": [
                {"family": name, "found": [{**glances[k], "cosine": round(c, 4)} for k, c in found]}
                for name, found in neighbours
            ],
            "concepts": self._concepts((row["family"], row["unit"])),
            "cofiring": self._cofiring(row),
        }

    def _by_octave(self, exemplars: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Spread exemplars by the octave of their activation, strongest octave first."""
        groups: dict[int, list[dict[str, Any]]] = {}
        for exemplar in exemplars:
            groups.setdefault(exemplar["octave"], []).append(self._exemplar(exemplar))
        edges = bin_edges()
        return [
            {"from": edges[2 * octave], "to": edges[2 * octave + 2], "exemplars": groups[octave]}
            for octave in sorted(groups, reverse=True)
        ]

    def _exemplar(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Tokens of one exemplar and the activations that are not 0, as [place, activation]."""
        window = np.frombuffer(row["activations"], np.uint8) * np.float32(row["peak"] / 255)
        try:
            found = excerpt(self.text.tokens, self.text.documents, row["position"], window)
        except ValueError as error:
            raise TomogramError(f"The exemplars are of another text: {error}.") from error
        fires = np.flatnonzero(found.activations > 0)
        return {
            "tokens": found.tokens.tolist(),
            "fires": [[int(i), _three(found.activations[i])] for i in fires],
            "centre": found.centre,
            "activation": _three(row["activation"]),
            "document": row["document"],
            "position": row["position"],
        }

    def _concepts(self, key: Key) -> list[dict[str, Any]]:
        """The known concepts this unit matches best, each with the best neuron beside it."""
        known = self.tomogram.manifest.concepts
        if known is None:
            return []
        matched = [
            c for c in known.concepts
            if key in ((c.feature.group, c.feature.index), (c.neuron.group, c.neuron.index))
        ]  # fmt: skip
        matched.sort(key=lambda c: -c.feature.f1)
        return [
            shown(
                {
                    "name": c.name,
                    "feature": c.feature.model_dump(),
                    "neuron": c.neuron.model_dump(),
                    "probe": c.probe,
                    "random": c.random,
                }
            )
            for c in matched[:_CONCEPTS]
        ]

    def _cofiring(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Units of the family that fire on the same tokens, where the table has the sketch."""
        units, shares = row.get("cofiring"), row.get("cofiring_by")
        if not units:
            return []
        glances = self.catalogue.glances([(row["family"], unit) for unit in units])
        return [
            {**glances[(row["family"], unit)], "share": round(float(share), 4)}
            for unit, share in zip(units, shares or [0.0] * len(units), strict=False)
            if (row["family"], unit) in glances
        ]

    @cached_property
    def _map(self) -> dict[str, Any]:
        with self._reading:
            found = self.directions
        names = sorted(found.by_family, key=lambda n: (found.layer[n], n))
        if not names:
            return {"families": [], "places": [], "why": (
                "The scan was given its dictionaries and holds no copy of them, so there is "
                "nothing here to draw a map from."
            )}  # fmt: skip
        rows = np.concatenate([found.by_family[name] for name in names])
        places = (project(rows) * 4095).round().astype(int)
        families, at = [], 0
        for name in names:
            size = len(found.by_family[name])
            live = [
                row["unit"]
                for row in self.catalogue.query(
                    "SELECT unit FROM features WHERE family = ? AND count > 0 ORDER BY unit", [name]
                )
            ]
            own = places[at : at + size][live]
            families.append(
                {"family": visible(name), "layer": found.layer[name], "units": live,
                 "x": own[:, 0].tolist(), "y": own[:, 1].tolist()}
            )  # fmt: skip
            at += size
        return {"families": families, "extent": 4095, "why": ""}

    def map(self) -> dict[str, Any]:
        """Where each unit that fires lies on the map; drawn once, which takes some seconds."""
        with self._drawing:
            return self._map


def shown(value: Any) -> Any:
    """The same JSON with every string, keys included, made visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(str(k)): shown(v) for k, v in value.items()}
    if isinstance(value, Iterable):
        return [shown(v) for v in value]
    return value


def _brief(row: Mapping[str, Any]) -> dict[str, Any]:
    """A whole row of the table as the catalogue lists it."""
    names = ("family", "unit", "index", "side", "layer", "kind", "label", "rate", "largest", "mean",
             "count", "histogram")  # fmt: skip
    label = {"score": "label_f1", "low": "label_f1_low", "high": "label_f1_high"}
    return {**{n: row[n] for n in names}, **{n: row[column] for n, column in label.items()}}


def _picture(picture: Picture) -> dict[str, Any]:
    """The drawing is our own markup, whose words `report.charts.svg` has escaped."""
    return {
        "title": visible(picture.title),
        "caption": visible(picture.caption),
        "svg": str(picture.svg),
        "columns": shown(picture.columns),
        "rows": shown(picture.rows),
    }


def _pairs(ids: Sequence[int] | None, by: Sequence[float] | None) -> list[list[float]]:
    return [[i, _three(b)] for i, b in zip(ids or (), by or (), strict=True)]


def _three(value: float) -> float:
    """Four significant digits: more are noise, and cost bytes in an export."""
    return float(f"{float(value):.4g}")
