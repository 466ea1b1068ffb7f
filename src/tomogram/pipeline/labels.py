"""Labels of a tomogram: those of the scan and those made later, and which of them stands."""

from __future__ import annotations

from pathlib import Path

from tomogram.features.judged import Judged, read_judged
from tomogram.report.tomogram import Tomogram, open_tomogram
from tomogram.store.atomic import write_bytes
from tomogram.store.schema import manifest_bytes
from tomogram.store.stage import Stage

FOLDER = "labels_"
"""Labels made after the scan stand in folders whose names begin so, one a labeller."""
CHANCE = 0.5

Key = tuple[str, int]
"""Family and number of the unit in it."""


def label_files(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of all labels made after the scan, by their paths below its folder."""
    return {
        name: sha
        for path in _folders(folder)
        for name, sha in Stage(folder, path.name, 0, None).files().items()
    }


def list_labels(folder: Path) -> None:
    """Name the labels made after a scan among the files of its `tomogram.json`.

    So a signature made afterwards covers them, and one made before no longer fits.

    Raises TomogramError where the manifest is missing, damaged or newer than this version reads.
    """
    manifest = open_tomogram(folder).manifest
    files = {n: sha for n, sha in manifest.files.items() if not n.startswith(FOLDER)}
    listed = manifest.model_copy(update={"files": files | label_files(folder)})
    if listed.files != manifest.files:
        write_bytes(folder / "tomogram.json", manifest_bytes(listed))


def judged_labels(tomogram: Tomogram) -> dict[str, list[Judged]]:
    """All labels made after the scan, by the name of their folder.

    Raises TomogramError where a table is damaged or newer than this version reads.
    """
    return {path.name: read_judged(path / "labels.parquet") for path in _folders(tomogram.folder)}


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"{FOLDER}*") if (path / "stage.json").is_file())


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
