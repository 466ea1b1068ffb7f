"""Labels: what a unit is called, by whom, and how well each label was found to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tomogram.features.judged import Judged
from tomogram.features.judging.scores import Score
from tomogram.pipeline.labels import FOLDER, Key, judged_labels, standing_labels
from tomogram.report.tokens import visible
from tomogram.report.tomogram import Tomogram

LONGEST = 300
"""Characters of a label that a page shows."""


@dataclass(frozen=True)
class Labels:
    """The labels that were made after the scan."""

    standing: Mapping[Key, tuple[str, Judged]]
    """Those shown in the place of the scan's rules, with the names of their labellers."""
    made: Mapping[Key, tuple[tuple[str, Judged], ...]]
    """All of them."""

    def shown(self, key: Key) -> list[dict[str, Any]]:
        """All labels made of one unit as its page shows them."""
        standing = self.standing.get(key)
        return [
            {
                "labeller": visible(labeller),
                "label": cut(judged.label),
                "stands": standing is not None and standing[0] == labeller,
                "detection": _score(judged.detection),
                "fuzzing": _score(judged.fuzzing),
            }
            for labeller, judged in self.made.get(key, ())
        ]


def later_labels(tomogram: Tomogram) -> Labels:
    """The labels that `tomogram label` has made of a scan.

    Raises TomogramError where a table is damaged or newer than this version reads.
    """
    made: dict[Key, list[tuple[str, Judged]]] = {}
    for folder, labels in judged_labels(tomogram).items():
        for each in labels:
            made.setdefault((each.family, each.unit), []).append((_labeller(folder), each))
    standing = {
        key: (_labeller(folder), judged)
        for key, (folder, judged) in standing_labels(tomogram).items()
    }
    return Labels(standing, {key: tuple(found) for key, found in made.items()})


def cut(label: str | None) -> str | None:
    """A label as a page shows it: of bearable length, and every character visible."""
    if label is None:
        return None
    return visible(label if len(label) <= LONGEST else f"{label[:LONGEST]}…")


def _labeller(folder: str) -> str:
    return folder.removeprefix(FOLDER).replace("_", " ")


def _score(score: Score | None) -> dict[str, Any] | None:
    if score is None:
        return None
    found = score.accuracy
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
