"""The labeller that needs no model: the rule of tokens that the scan learned for a feature."""

from __future__ import annotations

from dataclasses import dataclass

from tomogram.features.labellers.subject import Subject


@dataclass(frozen=True)
class StatisticsLabeller:
    """Gives the rule's own words; a feature no rule fits stays unlabelled."""

    name: str = "statistics"
    parallel: int = 1

    def label(self, subject: Subject) -> str | None:
        """The rule in words, or None."""
        return subject.rule
