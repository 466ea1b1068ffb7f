"""Labels of a tomogram: those of the scan and those made later, and which of them stands."""

from __future__ import annotations

from tomogram.features.judged import Judged, read_judged
from tomogram.report.tomogram import Tomogram

FOLDER = "labels_"
"""Labels made after the scan stand in folders whose names begin so, one a labeller."""
CHANCE = 0.5

Key = tuple[str, int]
"""Family and number of the unit in it."""


def judged_labels(tomogram: Tomogram) -> dict[str, list[Judged]]:
    """All labels made after the scan, by the name of their folder.

    Raises TomogramError where a table is damaged or newer than this version reads.
    """
    folders = sorted(
        path for path in tomogram.folder.glob(f"{FOLDER}*") if (path / "stage.json").is_file()
    )
    return {path.name: read_judged(path / "labels.parquet") for path in folders}


def standing_labels(tomogram: Tomogram) -> dict[Key, tuple[str, Judged]]:
    """For each feature the label with the best detection score that is surely above chance.

    With the name of its folder. Where there is none, the rule of the scan stands
    (`features.parquet`), or nothing does.
    """
    best: dict[Key, tuple[float, str, Judged]] = {}
    for folder, labels in judged_labels(tomogram).items():
        for each in labels:
            if each.label is None or each.detection is None:
                continue
            accuracy = each.detection.accuracy
            before = best.get((each.family, each.unit))
            if accuracy.low > CHANCE and (before is None or accuracy.value > before[0]):
                best[each.family, each.unit] = accuracy.value, folder, each
    return {key: (folder, judged) for key, (_, folder, judged) in best.items()}


def best_labels(tomogram: Tomogram) -> dict[Key, str]:
    """The words of the labels that stand in the place of the scan's rules."""
    return {
        key: judged.label
        for key, (_, judged) in standing_labels(tomogram).items()
        if judged.label is not None
    }
