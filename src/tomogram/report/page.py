"""The report: one self-contained HTML page made of a manifest and a gallery of units.

The page asks for nothing outside itself (`rendering.py`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from tomogram.report import pictures, words
from tomogram.report.charts.loss_ruler import FAMILY_WORDS, explained_of_context
from tomogram.report.evidence import Evidence, gather
from tomogram.report.findings import Audited, gather_findings
from tomogram.report.rendering import asset, content_security_policy, environment
from tomogram.report.tomogram import open_tomogram
from tomogram.store.atomic import write_text
from tomogram.store.schema import Manifest


@dataclass(frozen=True)
class Reading:
    """A headline figure: a value, what it is, and how it was measured."""

    value: str
    words: str
    detail: str


def write_report(folder: str | Path) -> Path:
    """Write `report.html` of a finished scan's folder, whole or not at all; returns its path.

    Raises TomogramError where the folder holds no finished scan, one of its files is missing or
    damaged, or it cannot be written.
    """
    tomogram = open_tomogram(folder)
    page = render(tomogram.manifest, gather(tomogram), gather_findings(tomogram))
    write_text(tomogram.report, page)
    return tomogram.report


def render(manifest: Manifest, evidence: Evidence, audited: Audited | None = None) -> str:
    """The whole page as HTML text, without any time, path or machine in it.

    audited: what audits said of the model; that nothing is known, without it.
    """
    style, script = asset("style.css"), asset("script.js")
    template = environment().get_template("report.html.j2")
    return template.render(
        manifest=manifest,
        style=Markup(style),
        script=Markup(script),
        policy=content_security_policy(style, script),
        readings=readings(manifest),
        coverage=pictures.coverage(manifest),
        audited=audited or Audited(),
        anatomy=pictures.anatomy(manifest),
        superposition=pictures.neurons_and_features(
            manifest, evidence.feature_scores, evidence.neuron_scores
        ),
        comparison=comparison(manifest),
        quality=pictures.quality(manifest),
        circuits=pictures.circuits(manifest, evidence.graphs, evidence.labels),
        cards=evidence.cards,
        groups=list(dict.fromkeys(card.group for card in evidence.cards)),
        sites=sorted(Counter(site.partition(".")[0] for site in manifest.sites).items()),
    )


def readings(manifest: Manifest) -> list[Reading]:
    """The headline figures of coverage, the dark ones included."""
    coverage = manifest.coverage
    shown = []
    for spliced in coverage.spliced:
        which = f"{len(spliced.dictionaries)} {FAMILY_WORDS[spliced.family]}"
        rise = f"The loss rises by {words.span(spliced.rise)} nats per token."
        kept = explained_of_context(coverage, spliced.rise.value)
        if kept is None:
            value = f"+{words.decimal(spliced.rise.value)} nats"
            shown.append(Reading(value, f"rise in loss with all {which} in place at once", rise))
        else:
            meaning = (
                f"of what the model knows beyond token frequencies survives when all {which} "
                "stand in for it at once"
            )
            shown.append(Reading(words.percent(kept), meaning, rise))
    if coverage.labelled is not None:
        low, high = words.percent(coverage.labelled.low), words.percent(coverage.labelled.high)
        shown.append(
            Reading(
                words.percent(coverage.labelled.value),
                "of the live features have a label that holds on unseen text",
                f"95 % interval {low} to {high}.",
            )
        )
    else:
        shown.append(Reading("none", "of the features were labelled in this scan", ""))
    return shown


def comparison(manifest: Manifest) -> str:
    """Neurons against features in one sentence; empty where one of them was not scanned."""
    if manifest.concepts is not None:
        means = manifest.concepts.means
        return (
            f"Over {words.plural(len(manifest.concepts.concepts), 'concept')} the best feature "
            f"reaches a mean F1 of {words.decimal(means.feature.value)}, the best neuron "
            f"{words.decimal(means.neuron.value)}, the probe {words.decimal(means.probe.value)}."
        )
    shares = {}
    for kind in ("latent", "neuron"):
        groups = [group for group in manifest.groups if group.kind == kind]
        live = sum(group.live for group in groups)
        if not live:
            return ""
        shares[kind] = words.percent(sum(group.passing for group in groups) / live)
    return (
        f"Of the features that fire, {shares['latent']} have a label that holds on unseen text; "
        f"of the neurons, each side counted by itself, {shares['neuron']}."
    )
