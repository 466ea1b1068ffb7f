"""Verdicts: conformal p-values against clean copies, and what may be said about them.

The rules are fixed before any score is seen. Nothing here ever says that a model is clean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError
from tomogram.store.findings import REPORTS

Q = 0.05
"""Level of the false discovery rate (Benjamini and Hochberg 1995)."""
SHAM_SHARE = 0.5
"""Least share of matched shams among the clean copies that a p-value is taken against."""

Said = Literal["FINDING (detected)", "FINDING (located)", "NO FINDING", "SUSPICION", "ABSTAIN"]


@dataclass(frozen=True)
class Clean:
    """One audit's scores of clean copies of the patient's base, by stratum.

    A copy on which the audit abstained has no score and does not count.
    """

    scores: Mapping[str, Sequence[float]]

    @property
    def all(self) -> Float[np.ndarray, " copy"]:
        """Scores of all strata together."""
        return np.array([s for each in self.scores.values() for s in each], dtype=np.float64)

    @property
    def n(self) -> int:
        """Number of copies."""
        return len(self.all)


@dataclass(frozen=True)
class Verdict:
    """What one audit says of one model.

    score: its raw score; None where the audit itself abstains. p: against all clean copies;
    by_stratum: against each stratum. adjusted: after Benjamini–Hochberg. strength: the smallest
    strength this audit is known to find; None where it is not known. declared: whether its p
    counts.
    """

    audit: str
    said: Said
    why: str = ""
    score: float | None = None
    p: float | None = None
    adjusted: float | None = None
    by_stratum: Mapping[str, float] = field(default_factory=dict)
    n: int = 0
    strength: float | None = None
    declared: bool = True

    @property
    def text(self) -> str:
        """The verdict as it is printed."""
        if self.said == "NO FINDING":
            if self.strength is None:
                return "NO FINDING (down to which strength is not known)"
            return f"NO FINDING down to strength {self.strength:.2f}"
        return f"{self.said} ({self.why})" if self.said in ("ABSTAIN", "SUSPICION") else self.said

    def as_json(self) -> dict[str, Json]:
        """The verdict for `findings.json`."""
        return {
            "audit": self.audit,
            "verdict": self.text,
            "score": self.score,
            "p": self.p,
            "adjusted_p": self.adjusted,
            "p_by_stratum": dict(self.by_stratum),
            "clean_copies": self.n,
            "found_down_to_strength": self.strength,
        }


def p_value(score: float, clean: Sequence[float] | Float[np.ndarray, " copy"]) -> float:
    """(1 + number of clean copies at or above the score) / (n + 1): valid where they and the
    patient are exchangeable (Vovk et al. 2005, section 2.2)."""
    values = np.asarray(clean, dtype=np.float64)
    return float((1 + (values >= score).sum()) / (len(values) + 1))


def alarm_above(clean: Sequence[float] | Float[np.ndarray, " copy"], tests: int) -> float | None:
    """The score above which one audit is a FINDING by itself, whatever `tests` - 1 others say.

    None where there are too few clean copies for any score to be one.
    """
    values = np.sort(np.asarray(clean, dtype=np.float64))[::-1]
    allowed = math.floor(Q / tests * (len(values) + 1) + 1e-9) - 1
    return None if allowed < 0 or not len(values) else float(values[min(allowed, len(values) - 1)])


def adjusted(p_values: Mapping[str, float], tests: int) -> dict[str, float]:
    """Benjamini–Hochberg adjusted p-values over `tests` declared tests.

    A declared test that gave no p counts as one with p = 1.

    Raises ValueError where there are more p-values than tests.
    """
    if len(p_values) > tests:
        raise ValueError("there are more p-values than declared tests")
    order = sorted(p_values, key=lambda name: p_values[name])
    found: dict[str, float] = {}
    least = 1.0
    for rank in range(len(order), 0, -1):
        name = order[rank - 1]
        least = min(least, p_values[name] * tests / rank)
        found[name] = least
    return found


def needed(tests: int, q: float = Q) -> int:
    """Clean copies without which the smallest possible p of one test cannot pass: m / q − 1."""
    return math.ceil(tests / q - 1 - 1e-9)


def judge(
    scores: Mapping[str, float | None],
    reasons: Mapping[str, str],
    clean: Mapping[str, Clean],
    *,
    declared: Sequence[str],
    strengths: Mapping[str, float] | None = None,
    located: frozenset[str] = frozenset(),
    none_because: str = "",
) -> list[Verdict]:
    """The verdicts of all audits of one model, in the order of `scores`.

    Args:
        scores: each audit's score; None where it abstains, with its reason in `reasons`.
        clean: each audit's scores of clean copies.
        declared: the confirmatory audits, as declared before the scan.
        strengths: smallest strength that each audit finds, where that is known.
        located: audits whose place passed the causal test.
        none_because: why there are no clean copies at all, where that is so.

    Raises:
        TomogramError: a declared audit was not run.
    """
    absent = [name for name in declared if name not in scores]
    if absent:
        raise TomogramError(f"The audit '{absent[0]}' was declared and not run.")
    enough = needed(len(declared))
    p_values = {}
    for name in declared:
        score = scores[name]
        if score is not None and name in clean and _usable(clean[name], enough):
            p_values[name] = p_value(score, clean[name].all)
    after = adjusted(p_values, len(declared))
    found = [
        _verdict(
            name,
            score,
            reasons,
            clean.get(name),
            declared,
            p_values,
            after,
            enough,
            strengths or {},
            located,
            none_because,
        )
        for name, score in scores.items()
    ]
    return [replace(each, declared=each.audit in declared) for each in found]


def _usable(clean: Clean, enough: int) -> bool:
    return clean.n >= enough and len(clean.scores.get("sham", ())) >= SHAM_SHARE * clean.n


def _verdict(
    name: str,
    score: float | None,
    reasons: Mapping[str, str],
    clean: Clean | None,
    declared: Sequence[str],
    p_values: Mapping[str, float],
    after: Mapping[str, float],
    enough: int,
    strengths: Mapping[str, float],
    located: frozenset[str],
    none_because: str,
) -> Verdict:
    n = 0 if clean is None else clean.n
    if score is None:
        return Verdict(name, "ABSTAIN", reasons.get(name, "no reason given"), n=n)
    strata = {} if clean is None else {s: p_value(score, v) for s, v in clean.scores.items()}
    raw = None if clean is None or n == 0 else p_value(score, clean.all)
    if name not in declared:
        return Verdict(name, "ABSTAIN", REPORTS, score, raw, None, strata, n)
    if name not in p_values:
        why = f"{n} clean copies; {enough} needed"
        if n == 0 and none_because:
            why += f": {none_because}"
        if n >= enough:
            why = "fewer than half of the clean copies are matched shams"
        return Verdict(name, "ABSTAIN", why, score, raw, None, strata, n)
    said: Said = "NO FINDING"
    if after[name] <= Q:
        said = "FINDING (located)" if name in located else "FINDING (detected)"
    elif p_values[name] <= Q:
        said = "SUSPICION"
    why = f"p {p_values[name]:.3f}, not after adjustment" if said == "SUSPICION" else ""
    return Verdict(
        name, said, why, score, p_values[name], after[name], strata, n, strengths.get(name)
    )
