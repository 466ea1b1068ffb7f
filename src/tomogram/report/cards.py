"""A unit as the gallery shows it: its label, how it fires, what it promotes, where it fires."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markupsafe import Markup

from tomogram.report.charts import svg
from tomogram.report.charts.firing_histogram import firing_histogram
from tomogram.report.charts.head_map import level
from tomogram.report.tokens import inert
from tomogram.report.words import decimal


@dataclass(frozen=True)
class Snippet:
    """A stretch of text around a firing: tokens and the unit's activation on each of them."""

    tokens: tuple[str, ...]
    activations: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.tokens) != len(self.activations):
            raise ValueError("a snippet has one activation per token")


@dataclass(frozen=True)
class Card:
    """One unit of the gallery."""

    group: str
    """The dictionary's or the neurons' name."""
    kind: str
    """``latent`` or ``neuron``."""
    layer: int
    index: int
    label: str | None
    score: float | None
    """The label's score on unseen text."""
    rate: float
    """Share of tokens on which the unit fires."""
    largest: float
    histogram: tuple[int, ...]
    edges: tuple[float, ...]
    """Activations between which the bins of the histogram lie."""
    promoted: tuple[str, ...]
    suppressed: tuple[str, ...]
    top: tuple[Snippet, ...]
    """Where it fires most strongly."""
    spread: tuple[Snippet, ...]
    """Where it fires at all strengths, strongest first."""
    drawn: bool
    """Drawn blind among all live units, rather than chosen for its label."""
    side: int = 1
    """−1 for the negative side of a neuron."""
    concept: str | None = None
    """The ground-truth concept it matches best, with its F1, where that is known."""

    @property
    def anchor(self) -> str:
        """The card's address in the page."""
        sign = "-negative" if self.side < 0 else ""
        return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', self.group)[:80]}-{self.index}{sign}"

    @property
    def spark(self) -> Markup:
        """The small firing histogram."""
        return firing_histogram(self.edges, self.histogram)


def highlighted(snippet: Snippet, largest: float) -> Markup:
    """The snippet as HTML: silent tokens are plain text, the others marked by strength.

    Shades are relative to the unit's largest activation; a firing too weak for the first shade
    still gets it, so that nothing that fires looks silent.
    """
    pieces: list[str] = []
    for place, (token, activation) in enumerate(
        zip(snippet.tokens, snippet.activations, strict=True)
    ):
        shown = inert(token if place else token.lstrip(" "))
        if activation <= 0:
            pieces.append(shown)
            continue
        shade = max(1, level(activation / largest if largest > 0 else 0.0))
        # A space before the word stays outside the mark, or line ends show slivers of colour.
        word = shown.lstrip(" ") or shown
        pieces.append(shown[: len(shown) - len(word)])
        pieces.append(svg.element("mark", word, class_=f"s{shade}", title=decimal(activation)))
    return Markup("").join(pieces)
