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
from tomogram.features.tables import window_of
from tomogram.pipeline.labels import Key
from tomogram.pipeline.searching import Search
from tomogram.report import pictures
from tomogram.report.charts.picture import Picture
from tomogram.report.findings import gather_findings
from tomogram.report.page import comparison, readings
from tomogram.report.tokens import inert, visible
from tomogram.store.errors import TomogramError
from tomogram.store.findings import Shown
from tomogram.text.packing import PackedText
from tomogram.viewer import map as maps
from tomogram.viewer.catalogue import Catalogue
from tomogram.viewer.labels import cut, later_labels
from tomogram.viewer.related import Related, Relation

_CONCEPTS = 3
_FIRES, _PROMOTES = 120, 80
"""Characters by which an export's list finds a unit."""


class Content:
    """The pages' data of one finished scan.

    Every method raises TomogramError where a file it needs is missing, damaged or too new.
    """

    def __init__(self, search: Search) -> None:
        self.search = search
        self.tomogram = search.tomogram
        self.labels = later_labels(self.tomogram)
        self.catalogue = Catalogue(self.tomogram.features, search.catalogue, self.labels)
        self.tomogram.features.hold("related")
        self.related = Related(self.tomogram.features, search.catalogue)
        # Drawing the map takes seconds, and other pages must not wait for it.
        self._drawing = Lock()

    @cached_property
    def text(self) -> PackedText:
        """The text that exemplars are positions in."""
        return self.tomogram.text

    def about(self, *, live: str, ways: Sequence[str]) -> dict[str, Any]:
        """The scan as a whole: the manifest, its families of units, and all charts.

        Args:
            live: why the pages that need the model cannot work; empty where they can.
            ways: in which the list can be searched.
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
            "ways": list(ways),
        }

    def findings(self) -> dict[str, Any]:
        """What audits said, by kind of verdict, with the evidence.

        It is read again whenever it is asked for: an audit may have run since.
        """
        audited = gather_findings(self.tomogram)
        return {
            "summary": visible(audited.summary),
            "groups": [
                {"kind": kind, "title": title, "audits": [_verdict(each) for each in audits]}
                for kind, title, audits in audited.groups
            ],
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
        brief = self.catalogue.brief(family, [unit])[unit]
        exemplars = self.catalogue.exemplars(family, [unit])
        related = self.related.of(family, [unit]).get(unit, {})
        glances = self.catalogue.glances(list(self._near(family, unit, related)))
        return self._feature(row, brief, exemplars, related, glances)

    def features(self, family: str) -> Iterator[dict[str, Any]]:
        """The pages' data of all units of a family, in the order of their numbers."""
        exemplars: dict[int, list[dict[str, Any]]] = {}
        for exemplar in self.catalogue.exemplars(family):
            exemplars.setdefault(exemplar["unit"], []).append(exemplar)
        briefs, related = self.catalogue.brief(family), self.related.of(family)
        near = {key for unit in briefs for key in self._near(family, unit, related.get(unit, {}))}
        glances = self.catalogue.glances(sorted(near))
        for row in self.catalogue.query(
            "SELECT * FROM features WHERE family = ? ORDER BY unit", [family]
        ):
            unit = row["unit"]
            own = exemplars.get(unit, []), related.get(unit, {})
            yield self._feature(row, briefs[unit], *own, glances)

    def searched(self) -> Iterator[dict[str, Any]]:
        """All rows of the list in their order, with the words by which an export finds them."""
        words = {entry.number: entry for entry in self.search.described()}
        for number, row in enumerate(self.catalogue.everything()):
            entry = words.get(number)
            fires, promotes = (entry.fires, entry.promoted) if entry else ("", "")
            yield {
                **row,
                "fires": visible(fires[:_FIRES]),
                "promotes": visible(promotes[:_PROMOTES].lower()),
            }

    def _near(
        self, family: str, unit: int, related: Mapping[str, Sequence[Relation]]
    ) -> Iterator[Key]:
        """All units that a page names."""
        yield from (each.other for found in related.values() for each in found)
        yield from self.related.duplicates(family, unit)[0]
        yield from self.related.kin(family, unit)[0]

    def _feature(
        self,
        row: Mapping[str, Any],
        brief: Mapping[str, Any],
        exemplars: Sequence[Mapping[str, Any]],
        related: Mapping[str, Sequence[Relation]],
        glances: Mapping[Key, Mapping[str, Any]],
    ) -> dict[str, Any]:
        key = (row["family"], row["unit"])
        rule = None
        if row["label"] is not None:
            names = ("kind", "n_marks", "f1", "f1_low", "f1_high", "f1_n", "precision", "recall",
                     "balanced_accuracy")  # fmt: skip
            rule = {
                "label": cut(row["label"]),
                **{name: row[f"label_{name}"] for name in names},
            }
        groups = {
            name: {"units": [glances[each] for each in found], "total": total}
            for name, (found, total) in (
                ("duplicates", self.related.duplicates(*key)),
                ("kin", self.related.kin(*key)),
            )
        }
        return {
            **brief,
            "tokens": row["tokens"],
            "deviation": row["deviation"],
            "histogram": row["histogram"],
            "promoted": _pairs(row["promoted"], row["promoted_by"]),
            "suppressed": _pairs(row["suppressed"], row["suppressed_by"]),
            "rule": rule,
            "labels": self.labels.shown(key),
            "top": [self._exemplar(e) for e in exemplars if e["kind"] == "top"],
            "spread": self._by_octave([e for e in exemplars if e["kind"] == "spread"]),
            "related": {
                name: [
                    {**glances[each.other], "near": _three(each.score), "both": each.both}
                    for each in found
                    if each.other in glances
                ]
                for name, found in related.items()
            },
            "groups": groups,
            "concepts": self._concepts(key),
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
        try:
            found = excerpt(self.text.tokens, self.text.documents, row["position"], window_of(row))
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

    @cached_property
    def _map(self) -> dict[str, Any]:
        return maps.drawn(self.search)

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


def _verdict(found: Shown) -> dict[str, Any]:
    record = found.model_dump(mode="json", exclude={"says", "strength"})
    told: dict[str, Any] = shown({**record, "told": found.told})
    return told


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
