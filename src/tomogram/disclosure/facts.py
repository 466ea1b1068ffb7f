"""The facts of a disclosure: all that any format may say, in one record.

Facts are measured by the scan, recorded in a ledger, or declared by the developer, and every format
keeps the three apart. The record is itself a format, `disclosure.json`: what two releases disclosed
is compared by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints, ValidationError

import tomogram
from tomogram.custody.anchor import Anchor
from tomogram.custody.consultations import Checked, SuiteUse, checked, suite_use
from tomogram.custody.evidence import verify_tomogram
from tomogram.custody.keys import Identity
from tomogram.custody.questions.question import Question
from tomogram.custody.statement import FILE as STATEMENT
from tomogram.custody.statement import verify_folder, verify_use
from tomogram.disclosure.statement import Statement, check_changes
from tomogram.report.tomogram import open_tomogram
from tomogram.store.digest import digest_bytes
from tomogram.store.errors import TomogramError
from tomogram.store.findings import Audits, read_findings
from tomogram.store.schema import (
    ConceptMeans,
    Coverage,
    DictionaryRecord,
    Digest,
    ModelRecord,
    NotMeasured,
    Plan,
    Record,
    Run,
    TextRecord,
    UnitGroup,
    manifest_bytes,
)

FINDINGS = "findings.json"
"""Name under which a tomogram's folder holds what audits said."""

Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class Facts(Record):
    """What a disclosure rests on.

    made: day on which it was made. manifest: digest of `tomogram.json`.
    checks: what `tomogram verify` says of the folder.
    audits: None where none was given. suites: how sealed suites were used, where any was named.
    """

    format: Literal[1] = 1
    made: Day
    tomogram: str
    manifest: Digest
    model: ModelRecord
    text: TextRecord
    plan: Plan
    run: Run
    coverage: Coverage
    dictionaries: tuple[DictionaryRecord, ...]
    groups: tuple[UnitGroup, ...]
    concepts: ConceptMeans | None
    n_concepts: int
    not_measured: tuple[NotMeasured, ...]
    checks: tuple[Checked, ...]
    audits: Audits | None
    suites: tuple[SuiteUse, ...]
    statement: Statement


def gather(
    folder: Path,
    *,
    made: str,
    suites: Sequence[Path] = (),
    anchors: Mapping[Path, Anchor] | None = None,
    identities: Sequence[Identity] = (),
    questions: Mapping[str, Question] | None = None,
    statement: Statement | None = None,
    findings: Path | None = None,
) -> Facts:
    """Gather the facts of a tomogram.

    Args:
        folder: the tomogram.
        made: the day of the disclosure, such as 2026-11-21.
        suites: folders of sealed suites (or copies of them) whose use is told.
        anchors: heads of their ledgers that were kept elsewhere, by suite.
        identities: whom the reader is told to trust, for signatures.
        questions: questions that are installed, for what they mean.
        statement: the developer's.
        findings: what audits said; by default the folder's own findings.json.

    Raises:
        TomogramError: the folder holds no finished scan; a suite's ledger is damaged; findings are
            of another model; the statement tells of a change after an ask that was not made.
    """
    manifest = open_tomogram(folder).manifest
    uses = tuple(
        suite_use(
            suite,
            questions=questions or {},
            anchor=(anchors or {}).get(suite),
            identities=identities,
        )
        for suite in suites
    )
    declared = statement or Statement()
    check_changes(declared, ((use.suite, ask.row) for use in uses for ask in use.consultations))
    path = findings or folder / FINDINGS
    present = findings is not None or path.exists()
    checks = [*verify_tomogram(folder), *verify_folder(folder, identities)]
    if (folder / STATEMENT).exists():
        checks += [verify_use(folder, suite) for suite in suites]
    return Facts(
        made=_day(made),
        tomogram=tomogram.__version__,
        manifest=digest_bytes(manifest_bytes(manifest)),
        model=manifest.model,
        text=manifest.text,
        plan=manifest.plan,
        run=manifest.run,
        coverage=manifest.coverage,
        dictionaries=manifest.dictionaries,
        groups=manifest.groups,
        concepts=manifest.concepts.means if manifest.concepts else None,
        n_concepts=len(manifest.concepts.concepts) if manifest.concepts else 0,
        not_measured=manifest.not_measured,
        checks=tuple(checked(check, folder) for check in checks),
        audits=read_findings(path, manifest.model.digest) if present else None,
        suites=uses,
        statement=declared,
    )


def read_facts(path: Path) -> Facts:
    """Read a `disclosure.json`. Raises TomogramError where it is missing or something else."""
    try:
        return Facts.model_validate_json(path.read_bytes())
    except OSError as error:
        raise TomogramError(f"{path} could not be read: {error.strerror}.") from error
    except (ValidationError, ValueError) as error:
        raise TomogramError(f"{path} is no disclosure of this version.") from error


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise TomogramError(f"{text} is no day; write it like 2026-11-21.") from error
