"""What an audit is: a question to a model, with its needs, its controls and its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points

from tomogram.audits.contrast import Contrast
from tomogram.audits.subject import Subject
from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError

GROUP = "tomogram.audits"
"""Entry point group of audits from other packages."""


@dataclass(frozen=True)
class Measurement:
    """What an audit saw in one model.

    score: higher is worse; None where it abstains. abstains: why it does.
    says: the finding in words, should it be one. evidence: what a person can look at.
    contrasts: prompts that show the problem, for the causal test of a place.
    """

    score: float | None
    says: str = ""
    evidence: Mapping[str, Json] = field(default_factory=dict)
    contrasts: tuple[Contrast, ...] = ()
    abstains: str = ""

    def __post_init__(self) -> None:
        if (self.score is None) != bool(self.abstains):
            raise ValueError("an audit has a score or a reason to abstain, and not both")


@dataclass(frozen=True)
class Question:
    """What every audit says of itself.

    asks: the question, in a sentence. needs: what the model must be able to do. method, controls:
    how it is answered and what keeps the answer honest. references: where the method is from.
    """

    name: str
    asks: str
    needs: str
    method: str
    controls: str
    references: str


@dataclass(frozen=True)
class Audit(Question):
    """One audit.

    confirmatory: whether its p counts among the declared tests; the others report.
    needs_base: whether it abstains without a trusted base.
    """

    run: Callable[[Subject], Measurement] = field(repr=False)
    confirmatory: bool = True
    needs_base: bool = False

    def measure(self, subject: Subject) -> Measurement:
        """What it sees; without a base that it needs, an abstention."""
        if self.needs_base and subject.base is None:
            return abstain("no trusted base model is at hand")
        return self.run(subject)


def abstain(reason: str) -> Measurement:
    """A measurement that was not made."""
    return Measurement(None, abstains=reason)


def installed() -> dict[str, Audit]:
    """All audits by name: the own ones, then those of other packages.

    Raises TomogramError where an entry point gives no audit, or takes a name that is there.
    """
    from tomogram.audits.own import AUDITS

    found = {audit.name: audit for audit in AUDITS}
    for point in entry_points(group=GROUP):
        audit = point.load()
        if not isinstance(audit, Audit):
            raise TomogramError(f"The entry point '{point.name}' of {GROUP} gives no audit.")
        if audit.name in found:
            raise TomogramError(f"Two audits are named '{audit.name}'.")
        found[audit.name] = audit
    return found


def confirmatory() -> tuple[str, ...]:
    """Names of the audits whose p-values are declared before a scan."""
    return tuple(name for name, audit in installed().items() if audit.confirmatory)
