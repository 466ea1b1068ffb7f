"""From a tomogram's folder to the files of its disclosure, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tomogram.custody.anchor import read_anchor
from tomogram.custody.keys import read_identity
from tomogram.custody.questions import installed
from tomogram.disclosure.facts import gather
from tomogram.disclosure.formats import ALL, Written, write
from tomogram.disclosure.statement import read_statement
from tomogram.store.errors import TomogramError


def disclose(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    formats: Sequence[str] = (ALL,),
    suites: Sequence[str | Path] = (),
    anchors: Sequence[str | Path] = (),
    identities: Sequence[str | Path] = (),
    statement: str | Path | None = None,
    findings: str | Path | None = None,
    day: str | None = None,
) -> Written:
    """Write the disclosure of a tomogram.

    Args:
        folder: the tomogram; nothing is written into it.
        out: folder for the files; NAME.disclosure here when None.
        formats: names of formats (`disclosure.formats.FORMATS`), or `all`.
        suites: sealed suites whose use is told.
        anchors: heads of their ledgers that were kept elsewhere, in the suites' order.
        identities: public identities of those the reader is to trust.
        statement: what the developer declares, in YAML.
        findings: what `tomogram audit --out` wrote; the folder's own findings.json when None.
        day: day of the disclosure, such as 2026-11-21; today when None.

    Raises:
        TomogramError: something given cannot be read or does not belong to this tomogram; a format
            is unknown or lacks its library; the folder cannot be written.
    """
    folder = Path(folder)
    named = [Path(suite) for suite in suites]
    if len(anchors) > len(named):
        raise TomogramError("There are more anchors than suites.")
    heads = [read_anchor(Path(anchor)) for anchor in anchors]
    facts = gather(
        folder,
        made=day or today(),
        suites=named,
        anchors=dict(zip(named, heads, strict=False)),
        identities=[read_identity(Path(identity)) for identity in identities],
        questions=installed(),
        statement=None if statement is None else read_statement(Path(statement)),
        findings=None if findings is None else Path(findings),
    )
    target = Path(f"{folder.resolve().stem}.disclosure") if out is None else Path(out)
    return write(facts, formats, target)


def today() -> str:
    """The day in UTC."""
    return datetime.now(UTC).date().isoformat()
