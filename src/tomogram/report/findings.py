"""What audits said of the scanned model, in the order a reader should meet it.

What was found comes first, what could not be tested last but one word as large. Nothing here says
that a model is well: silence has many reasons, and each is named.
"""

from __future__ import annotations

from dataclasses import dataclass

from tomogram.report.tomogram import Tomogram
from tomogram.store.errors import TomogramError
from tomogram.store.findings import Kind, Shown, read_shown

FILE = "findings.json"
"""In a tomogram's folder; `tomogram audit MODEL --out FOLDER/findings.json` writes it."""
TITLES: dict[Kind, str] = {
    "finding": "Found",
    "suspicion": "Suspected, but not beyond the adjustment for several tests",
    "no finding": "Tested, and nothing found down to the strength named, where one is",
    "reported": "Reported, and not judged",
    "abstained": "Could not be tested",
}
NONE = (
    "No audit of this model lies in this folder, so nothing is known of what may be wrong with it."
    " The command tomogram audit runs them."
)
UNREADABLE = f"The {FILE} of this folder is damaged, or it is about another model."


@dataclass(frozen=True)
class Audited:
    """What audits said. note: why there is nothing to show; empty where there is something."""

    audits: tuple[Shown, ...] = ()
    note: str = NONE

    @property
    def groups(self) -> tuple[tuple[Kind, str, tuple[Shown, ...]], ...]:
        """Every kind of verdict that was given, with its title and its audits."""
        made = (
            (kind, title, tuple(each for each in self.audits if each.kind == kind))
            for kind, title in TITLES.items()
        )
        return tuple(group for group in made if group[2])

    @property
    def summary(self) -> str:
        """How many audits said what, in a sentence; the note where there are none."""
        if not self.audits:
            return self.note
        n = {kind: sum(each.kind == kind for each in self.audits) for kind in TITLES}
        return (
            f"Of {len(self.audits)} audits {n['finding']} found something, {n['suspicion']} suspect"
            f" something, {n['no finding']} found nothing down to the strength they name, where"
            f" they name one, {n['reported']} report, and {n['abstained']} could not test."
        )


def gather_findings(tomogram: Tomogram) -> Audited:
    """The findings that lie in a tomogram's folder; what cannot be read is said, not raised."""
    path = tomogram.folder / FILE
    if not path.exists():
        return Audited()
    try:
        return Audited(read_shown(path, tomogram.manifest.model.digest), "")
    except TomogramError:
        return Audited((), UNREADABLE)
