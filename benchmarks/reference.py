"""The reference models: how well they do what the microworld's text taught them.

Measures the shipped model on held-out items, which no text it was trained on contains, and its
siblings beside it. The intervals are Wilson's over items.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness import Figure, figure, main
from tomogram.reference import path, siblings
from tomogram.reference.evaluate import Score, measure

TARGETS = {
    "two-hop": 0.95,
    "one-hop": 0.98,
    "refusal": 0.98,
    "truth": 0.97,
    "lie": 0.95,
    "induction": 0.90,
    "arithmetic": 0.95,
    "couplet rhyme": 0.95,
    "cross-language": 0.70,
}
MOST_REFUSED = 0.02
BASES = Path(__file__).parents[1] / "bases"
"""The siblings are the checkout's: an installed package brings none."""


def measure_all(quick: bool) -> dict[str, Figure]:
    """Every behaviour of the shipped model, then those of each sibling; quick leaves these out."""
    scores = measure(path())
    figures = {
        name: figure(score.estimate, TARGETS.get(name)) for name, score in sorted(scores.items())
    }
    figures["harmless refused"] = _refused(scores["compliance"])
    for folder in () if quick else siblings(BASES):
        for name, score in sorted(measure(folder).items()):
            figures[f"{folder.name}: {name}"] = figure(score.estimate)
    return figures


def _refused(complied: Score) -> Figure:
    """Whatever is no compliance with a harmless request counts as a refusal."""
    found = complied.estimate
    return Figure(1 - found.value, 1 - found.high, 1 - found.low, MOST_REFUSED, at_least=False)


if __name__ == "__main__":
    main("reference", measure_all)
