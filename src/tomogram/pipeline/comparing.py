"""Compare two scans, or two lists of findings: what is worse in the second than in the first?

A figure got worse where the two 95 % intervals do not overlap; a finding is worse by its verdict.
Figures that were measured on different texts are not compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from tomogram.report.tomogram import Tomogram, open_tomogram
from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Estimate, Manifest

Kind = Literal["finding", "abstention", "coverage", "labels", "loss", "concepts"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class _Finding(BaseModel):
    """What a comparison needs of one finding."""

    model_config = ConfigDict(frozen=True, strict=True)

    audit: str
    verdict: str
    score: float | None


class _Findings(BaseModel):
    """`findings.json`, as far as it is read here."""

    model_config = ConfigDict(frozen=True, strict=True)

    schema_version: Literal[1]
    findings: tuple[_Finding, ...]


@dataclass(frozen=True)
class Side:
    """One of the two: a scan, its findings, or both."""

    scan: Manifest | None
    findings: tuple[_Finding, ...] | None


@dataclass(frozen=True)
class Moved:
    """One thing that both sides say. worse: whether it got worse from the first to the second."""

    kind: Kind
    name: str
    before: str
    after: str
    worse: bool


@dataclass(frozen=True)
class Comparison:
    """All that was compared, and what could not be."""

    moved: tuple[Moved, ...]
    skipped: tuple[str, ...]

    def regressions(self, kinds: Sequence[str]) -> tuple[Moved, ...]:
        """What got worse, of these kinds.

        Raises TomogramError for a kind that there is not.
        """
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown:
            raise TomogramError(f"There is no kind '{unknown[0]}'; known are {', '.join(KINDS)}.")
        return tuple(each for each in self.moved if each.worse and each.kind in kinds)

    def as_json(self) -> dict[str, Json]:
        """For `--json`."""
        return {"compared": [asdict(each) for each in self.moved], "skipped": list(self.skipped)}


def compare(first: str | Path, second: str | Path) -> Comparison:
    """Compare two scans' folders or two `findings.json`.

    Findings of a scan's folder are in its `findings.json`, where `tomogram audit --out` may put
    them.

    Raises TomogramError where a side can not be read, or the two have nothing in common.
    """
    one, two = read(Path(first)), read(Path(second))
    moved: list[Moved] = []
    skipped = []
    if one.findings is not None and two.findings is not None:
        moved += _findings(one.findings, two.findings)
    else:
        skipped.append("findings: not on both sides")
    if one.scan is not None and two.scan is not None:
        if one.scan.text.digest == two.scan.text.digest:
            moved += _figures(one.scan, two.scan)
        else:
            skipped.append("figures of the scans: they read different texts")
    else:
        skipped.append("figures of the scans: not on both sides")
    if not moved:
        raise TomogramError(f"{first} and {second} have nothing to compare: {'; '.join(skipped)}.")
    return Comparison(tuple(moved), tuple(skipped))


def read(path: Path) -> Side:
    """A scan's folder with its findings where there are any, or a `findings.json` alone.

    Raises TomogramError where it is neither.
    """
    if path.is_dir():
        beside = path / "findings.json"
        opened: Tomogram = open_tomogram(path)
        return Side(opened.manifest, _read(beside) if beside.is_file() else None)
    return Side(None, _read(path))


def _read(path: Path) -> tuple[_Finding, ...]:
    try:
        return _Findings.model_validate_json(path.read_bytes()).findings
    except (OSError, ValidationError, json.JSONDecodeError) as error:
        raise TomogramError(f"{path} holds no findings that can be read.") from error


def _findings(first: Sequence[_Finding], second: Sequence[_Finding]) -> Iterator[Moved]:
    """Worse: a FINDING that was none, and a test that was made and is no longer."""
    before = {each.audit: each for each in first}
    for after in second:
        was = before.get(after.audit)
        told = "not asked" if was is None else was.verdict
        found = after.verdict.startswith("FINDING") and not told.startswith("FINDING")
        yield Moved("finding", after.audit, told, after.verdict, found)
        silent = was is not None and not _abstains(told) and _abstains(after.verdict)
        if silent:
            yield Moved("abstention", after.audit, told, after.verdict, True)
    asked = {each.audit for each in second}
    for was in first:
        if was.audit not in asked:
            yield Moved(
                "abstention", was.audit, was.verdict, "not asked", not _abstains(was.verdict)
            )


def _abstains(verdict: str) -> bool:
    return verdict.startswith("ABSTAIN")


def _figures(first: Manifest, second: Manifest) -> Iterator[Moved]:
    one, two = first.coverage, second.coverage
    yield _figure("loss", "loss, nats", one.loss, two.loss, less=True)
    rises = {each.family: each.rise for each in one.spliced}
    for each in two.spliced:
        if each.family in rises:
            name = f"rise in loss with dictionaries ({each.family}), nats"
            yield _figure("coverage", name, rises[each.family], each.rise, less=True)
    if one.labelled is not None and two.labelled is not None:
        name = "share of features whose label passes"
        yield _figure("labels", name, one.labelled, two.labelled, less=False)
    if first.concepts is not None and second.concepts is not None:
        means = first.concepts.means.feature, second.concepts.means.feature
        yield _figure("concepts", "F1 of features that match concepts", *means, less=False)


def _figure(kind: Kind, name: str, before: Estimate, after: Estimate, *, less: bool) -> Moved:
    """less: whether less is better."""
    worse = after.low > before.high if less else after.high < before.low
    return Moved(kind, name, _told(before), _told(after), worse)


def _told(value: Estimate) -> str:
    return f"{value.value:.4g} ({value.low:.4g} to {value.high:.4g})"
