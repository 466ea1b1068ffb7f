"""What audits said, read back from the `findings.json` that `tomogram audit` writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tomogram.store.errors import TomogramError
from tomogram.store.schema import Digest, Record

Kind = Literal["finding", "no finding", "suspicion", "reported", "abstained"]

_KINDS: dict[str, Kind] = {
    "FINDING": "finding",
    "NO FINDING": "no finding",
    "SUSPICION": "suspicion",
    "ABSTAIN": "abstained",
}

REPORTS = "it reports and is not declared"
"""Why an audit abstains whose p does not count: it may have measured something all the same."""

AUDITS = "Whether something is wrong with the model (audits)"
"""What a scan's manifest lists as not measured, because audits are run beside it."""

LINES, EXAMPLES = 40, 8
"""Lines of evidence, and examples, that a page shows of one audit."""


class Finding(Record):
    """One audit's verdict.

    verdict: as the audit printed it. says: the finding in words. site: where it was located.
    strength: the smallest strength this audit is known to find.
    """

    audit: str
    verdict: str
    says: str = ""
    score: float | None = None
    p: float | None = None
    adjusted_p: float | None = None
    clean_copies: int = 0
    strength: float | None = None
    site: str | None = None

    @property
    def kind(self) -> Kind:
        """Which of the four verdicts it is, and of abstentions whether it reports."""
        return "reported" if self.verdict.endswith(f"({REPORTS})") else _KINDS[_word(self.verdict)]

    @property
    def told(self) -> str:
        """What may be told of it: what an audit says holds only where it found something.

        Otherwise there is a raw score at most, which nothing was held against or which is no worse
        than that of clean copies. A report is told as what it is.
        """
        if self.kind in ("finding", "suspicion"):
            parts = (self.says, f"at {self.site}" if self.site else "")
            return ", ".join(part for part in parts if part)
        if self.score is None:
            return ""
        score = f"{self.score:+.2f}".replace("-", "−")
        if self.kind == "reported" and self.says:
            return f"Raw score {score}, not judged: {self.says}."
        judged = self.kind == "no finding"
        return f"Raw score {score}{'' if judged else ', not judged'}."


class Shown(Finding):
    """A verdict with what a person can look at.

    asks, controls: the audit's question, and what keeps the answer honest. evidence: what it saw,
    as names and words. examples: prompts that show it. effect, random: how far repairing its place
    moves the bad answer, and the most that any random repair does; None where no place was tested.
    """

    asks: str = ""
    controls: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
    examples: tuple[str, ...] = ()
    effect: float | None = None
    random: float | None = None


class Audits(Record):
    """All audits of one model. declared: the confirmatory ones, fixed before the run."""

    declared: tuple[str, ...]
    findings: tuple[Finding, ...]


class _Place(BaseModel):
    """Where a finding was located."""

    site: str
    effect: float | None = None
    random: float | None = Field(default=None, alias="largest of 99 random")


class _Found(Finding):
    """An entry of the file; what a disclosure does not tell, such as examples, is left there."""

    model_config = ConfigDict(extra="ignore", strict=False)

    found_down_to_strength: float | None = None
    place: _Place | None = None
    asks: str = ""
    controls: str = ""
    evidence: dict[str, Any] = Field(default_factory=dict)
    examples: tuple[str, ...] = ()


class _Model(BaseModel):
    digest: Digest


class _File(BaseModel):
    schema_version: Literal[1]
    model: _Model
    declared: tuple[str, ...]
    findings: tuple[_Found, ...]


def read_findings(path: Path, model: str) -> Audits:
    """Read the audits of a model.

    model: digest of the model they must be about. Raises TomogramError where the file is missing,
    something else, or about another model.
    """
    read = _read(path, model)
    return Audits(
        declared=read.declared, findings=tuple(_finding(found) for found in read.findings)
    )


def read_shown(path: Path, model: str) -> tuple[Shown, ...]:
    """The same with the evidence, in the order of the file.

    Raises TomogramError as `read_findings` does.
    """
    return tuple(_shown(found) for found in _read(path, model).findings)


def _read(path: Path, model: str) -> _File:
    try:
        read = _File.model_validate_json(path.read_bytes())
        for found in read.findings:
            _word(found.verdict)
    except OSError as error:
        raise TomogramError(f"{path} could not be read: {error.strerror}.") from error
    except (ValidationError, ValueError) as error:
        raise TomogramError(f"{path} is no findings.json of this version.") from error
    if read.model.digest != model:
        raise TomogramError(f"{path} is about another model than the one that was scanned.")
    return read


def _finding(found: _Found) -> Finding:
    own = {name: getattr(found, name) for name in Finding.model_fields}
    where = found.place.site if found.place else None
    return Finding(**own | {"strength": found.found_down_to_strength, "site": where})


def _shown(found: _Found) -> Shown:
    place = found.place
    return Shown(
        **_finding(found).model_dump(),
        asks=found.asks,
        controls=found.controls,
        evidence=tuple(_told(found.evidence))[:LINES],
        examples=found.examples[:EXAMPLES],
        effect=None if place is None else place.effect,
        random=None if place is None else place.random,
    )


def _told(evidence: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested evidence as lines of a name and words."""
    if isinstance(evidence, Mapping):
        for key, value in evidence.items():
            yield from _told(value, f"{name} · {key}" if name else str(key))
    elif isinstance(evidence, Sequence) and not isinstance(evidence, str):
        if all(not isinstance(each, Mapping | list) for each in evidence):
            yield name, ", ".join(_word_of(each) for each in evidence)
        else:
            for number, each in enumerate(evidence, 1):
                yield from _told(each, f"{name} {number}")
    else:
        yield name, _word_of(evidence)


def _word_of(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "none" if value is None else str(value)
    return f"{value:.4g}".replace("-", "−")


def _word(verdict: str) -> str:
    """The first words of a verdict. Raises ValueError where it is none that audits give."""
    for word in _KINDS:
        if verdict == word or verdict.startswith(f"{word} "):
            return word
    raise ValueError(f"{verdict!r} is no verdict")
