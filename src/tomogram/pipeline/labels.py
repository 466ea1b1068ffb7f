"""Labels of a tomogram: those of the scan and those made later, and which of them stands."""

from __future__ import annotations

from tomogram.features.judged import Judged, read_judged
from tomogram.report.tomogram import Tomogram

FOLDER = "labels_"
"""Labels made after the scan stand in folders whose names begin so, one a labeller."""
CHANCE = 0.5


def judged_labels(tomogram: Tomogram) -> dict[str, list[Judged]]:
    """All labels made after the scan, by the name of their folder.

    Raises TomogramError where a table is damaged or newer than this version reads.
    """
    folders = sorted(
        path for path in tomogram.folder.glob(f"{FOLDER}*") if (path / "stage.json").is_file()
    )
    return {path.name: read_judged(path / "labels.parquet") for path in folders}


def best_labels(tomogram: Tomogram) -> dict[tuple[str, int], str]:
    """For each feature the label with the best detection score that is surely above chance.

    Where there is none, the rule of the scan stands (`features.parquet`), or nothing does.
    """
    best: dict[tuple[str, int], tuple[float, str]] = {}
    for labels in judged_labels(tomogram).values():
        for each in labels:
            if each.label is None or each.detection is None:
                continue
            accuracy = each.detection.accuracy
            before = best.get((each.family, each.unit))
            if accuracy.low > CHANCE and (before is None or accuracy.value > before[0]):
                best[each.family, each.unit] = accuracy.value, each.label
    return {key: label for key, (_, label) in best.items()}
