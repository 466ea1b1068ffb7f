"""Audit a model: the floors put together for the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tomogram.audits.audit import Measurement, abstain, confirmatory, installed
from tomogram.audits.calibration.kinds import UNKNOWN, kinds_of
from tomogram.audits.calibration.profile import NEAREST, PROFILE, clean_profiles, profile_p
from tomogram.audits.calibration.scoring import INSTRUMENT
from tomogram.audits.calibration.summary import clean_copies, detectable
from tomogram.audits.locating import Place, place
from tomogram.audits.spoken.own import DECLARED, SPOKEN, WITHOUT_WORDS
from tomogram.audits.spoken.scoring import INSTRUMENT as ENGLISH
from tomogram.audits.spoken.speaker import Speaker
from tomogram.audits.subject import Subject
from tomogram.audits.verdicts import Clean, Q, Verdict, judge, p_value
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.pipeline.calibrated import against
from tomogram.reference.shipped import world_of
from tomogram.store.atomic import write_json
from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError
from tomogram.store.findings import REPORTS

SCHEMA = 1
"""Version of `findings.json`."""


@dataclass(frozen=True)
class Finding:
    """One audit's verdict with what it rests on. spoken: whether it was asked in English."""

    verdict: Verdict
    measurement: Measurement
    place: Place | None
    spoken: bool = False

    @property
    def asked(self) -> tuple[str, str]:
        """The audit's question, and what keeps the answer honest; empty where it is not known."""
        known = {each.name: each for each in SPOKEN} if self.spoken else installed()
        about = PROFILE if self.verdict.audit == PROFILE.name else known.get(self.verdict.audit)
        return ("", "") if about is None else (about.asks, about.controls)

    def as_json(self) -> dict[str, Json]:
        """For `findings.json`."""
        found: dict[str, Json] = self.verdict.as_json()
        found["asks"], found["controls"] = self.asked
        found["says"] = self.measurement.says
        found["evidence"] = dict(self.measurement.evidence)
        found["examples"] = [each.prompt for each in self.measurement.contrasts[:4]]
        if self.place is not None:
            found["place"] = {
                "site": self.place.site,
                "effect": self.place.effect,
                "largest of 99 random": max(self.place.random),
            }
        return found


def audit(
    source: str | Path | Model,
    *,
    base: str | Path | Model | None = None,
    calibration: Path | None = None,
    base_name: str | None = None,
    declared: Sequence[str] | None = None,
) -> list[Finding]:
    """Run every audit and judge it against the clean copies of a calibration.

    Args:
        source: the model.
        base: the trusted model it was made from, where there is one.
        calibration: a table of scores (`scores.parquet`); without one the shipped one, where the
            model is the reference model or a copy of it. Where there are no clean copies every
            audit abstains and gives its raw score.
        base_name: whose clean copies of the table to compare with; by default those of `base`, or
            of the only base that the table holds. "microworld" says of a copy of the reference
            model what it is a copy of, where that one is not to be at hand.
        declared: the audits whose p-values count, named before the run; by default those that the
            calibration declares. m of them need 20 m − 1 clean copies for a FINDING, so fewer
            audits can be asked of fewer copies; the others then report.

    Raises:
        TomogramError: a model cannot be loaded; the calibration cannot be read, or holds several
            bases of which none was named, or is of other audits; a declared audit is none that can
            be declared; a model of no world has no tokenizer.

    A model that speaks of no world is asked in English (`audits.spoken`); what has no words there
    abstains. No calibration of such a model is shipped, so without one of its own every verdict is
    an abstention with its raw score.
    """
    model = source if isinstance(source, Model) else load(source)
    trusted = base if base is None or isinstance(base, Model) else load(base)
    world = world_of(model)
    if world is None:
        return _spoken(model, trusted, calibration, base_name, declared)
    beside = None if trusted is None else Subject(trusted, world)
    subject = Subject(model, world, beside)
    held = against(
        model,
        trusted,
        calibration,
        base_name,
        instrument=INSTRUMENT,
        declared=confirmatory(),
    )
    chosen = _declared(declared, confirmatory(), held.declared)
    measured = {name: each.measure(subject) for name, each in installed().items()}
    clean = clean_copies(held.rows)
    places = {
        name: place(subject, each)
        for name, each in measured.items()
        if name in chosen and _stands_out(name, each, clean)
    }
    verdicts = judge(
        {name: each.score for name, each in measured.items()},
        {name: each.abstains for name, each in measured.items()},
        clean,
        declared=chosen,
        strengths=detectable(held.rows, chosen),
        located=frozenset(n for n, place in places.items() if place and place.located),
        none_because=held.none_because,
    )
    found = [Finding(v, measured[v.audit], places.get(v.audit)) for v in verdicts]
    return [*found, _together(verdicts, held.rows, chosen)]


def _declared(
    asked: Sequence[str] | None, known: Sequence[str], otherwise: tuple[str, ...]
) -> tuple[str, ...]:
    unknown = [name for name in asked or () if name not in known]
    if unknown:
        raise TomogramError(f"'{unknown[0]}' cannot be declared; what can are {', '.join(known)}.")
    return tuple(dict.fromkeys(asked)) if asked else otherwise


def _spoken(
    model: Model,
    trusted: Model | None,
    calibration: Path | None,
    base_name: str | None,
    declared: Sequence[str] | None,
) -> list[Finding]:
    held = against(model, trusted, calibration, base_name, instrument=ENGLISH, declared=DECLARED)
    chosen = _declared(declared, DECLARED, held.declared)
    speaker = Speaker(model, None if trusted is None else Speaker(trusted))
    measured = {each.name: each.measure(speaker) for each in SPOKEN}
    measured |= {name: abstain(reason) for name, reason in WITHOUT_WORDS.items()}
    verdicts = judge(
        {name: each.score for name, each in measured.items()},
        {name: each.abstains for name, each in measured.items()},
        clean_copies(held.rows),
        declared=chosen,
        strengths=detectable(held.rows, chosen),
        none_because=held.none_because,
    )
    found = [Finding(v, measured[v.audit], None, spoken=True) for v in verdicts]
    return [*found, _together(verdicts, held.rows, chosen)]


def _together(
    verdicts: Sequence[Verdict], rows: Sequence[Mapping[str, Any]], declared: tuple[str, ...]
) -> Finding:
    """The profile of all declared audits, and the kind of what stands out: a report."""
    copies = clean_profiles(rows, declared)
    if not copies.enough:
        reason = f"{len(copies.scores)} clean copies; {NEAREST + 1} needed"
        without = Verdict(PROFILE.name, "ABSTAIN", reason, declared=False)
        return Finding(without, abstain(reason), None)
    scores = {each.audit: each.score for each in verdicts if each.audit in declared}
    far, p = profile_p(copies, scores)
    evidence: dict[str, Json] = {"kind": ""}
    says = f"the scores of {len(declared)} audits together lie where clean copies do"
    if p <= Q or any(each.adjusted is not None and each.adjusted <= Q for each in verdicts):
        kinds = kinds_of(rows, copies)
        named = kinds.name(copies, scores) if kinds.sizes else ""
        evidence = {
            "kind": named,
            "likeness to the organisms of a kind": dict(kinds.typical(copies, scores)),
            "share of a usual organism's score": dict(kinds.shares(copies, scores)),
        }
        says = (
            f"the scores of {len(declared)} audits together lie beyond {1 - p:.1%} of clean copies"
        )
        says += _of_kind(named)
    verdict = Verdict(
        PROFILE.name,
        "ABSTAIN",
        REPORTS,
        far,
        p,
        n=len(copies.scores),
        declared=False,
    )
    return Finding(verdict, Measurement(far, says, evidence), None)


def _of_kind(named: str) -> str:
    if not named:
        return "; its kind cannot be told, for want of planted organisms of any kind"
    if named == UNKNOWN:
        return "; it is like none of the kinds that were planted: unknown kind"
    return f"; it is like the organisms that the audit '{named}' finds"


def _stands_out(name: str, found: Measurement, clean: Mapping[str, Clean]) -> bool:
    """Whether a causal test is worth its time: the score leads all clean copies."""
    if found.score is None or not found.contrasts or name not in clean:
        return False
    return p_value(found.score, clean[name].all) <= 0.05


def write_findings(findings: Sequence[Finding], model: Model, path: Path) -> None:
    """Write `findings.json`. Raises TomogramError where it cannot be written."""
    declared = [each.verdict.audit for each in findings if each.verdict.declared]
    write_json(
        path,
        {
            "schema_version": SCHEMA,
            "model": {"name": model.name, "digest": model.digest},
            "declared": declared,
            "findings": [each.as_json() for each in findings],
        },
    )
