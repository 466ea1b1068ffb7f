"""The loss ruler: what is lost, in nats, when dictionaries stand in for the model's insides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tomogram.report.charts import svg
from tomogram.report.charts.picture import Picture
from tomogram.report.charts.scale import Linear
from tomogram.report.words import decimal, span
from tomogram.store.schema import Coverage, DictionaryRecord, Estimate

_WIDTH, _PITCH, _BAR = 360.0, 46.0, 14.0
FAMILY_WORDS = {
    "residual": "residual dictionaries",
    "transcoders": "transcoders",
    "all": "dictionaries of both kinds",
}


@dataclass(frozen=True)
class Rung:
    """One bar: a loss in nats per token, with its interval where there is one."""

    words: str
    loss: float
    rise: Estimate | None
    class_: str


def rungs(coverage: Coverage, dictionaries: Sequence[DictionaryRecord]) -> list[Rung]:
    """The model itself, one dictionary at a time, all at once, and token frequencies alone."""
    clean = coverage.loss.value
    ladder = [Rung("the model itself", clean, None, "bar-model")]
    for shape, words in (
        ("autoencoder", "one residual dictionary, mean of"),
        ("transcoder", "one transcoder, mean of"),
    ):
        rises = [d.quality.rise.value for d in dictionaries if d.shape == shape]
        if rises:
            mean = sum(rises) / len(rises)
            ladder.append(Rung(f"{words} {len(rises)}", clean + mean, None, "bar-one"))
    for spliced in coverage.spliced:
        words = f"all {len(spliced.dictionaries)} {FAMILY_WORDS[spliced.family]} at once"
        ladder.append(Rung(words, clean + spliced.rise.value, spliced.rise, "bar-all"))
    if coverage.unigram_loss is not None:
        ladder.append(Rung("token frequencies alone", coverage.unigram_loss, None, "bar-floor"))
    return ladder


def loss_ruler(coverage: Coverage, dictionaries: Sequence[DictionaryRecord]) -> Picture:
    """Bars of loss from the model's own to knowing nothing of the context."""
    ladder = rungs(coverage, dictionaries)
    clean = coverage.loss.value
    top = max(rung.rise.high + clean if rung.rise else rung.loss for rung in ladder)
    x = Linear(0.0, top, 0.0, _WIDTH)
    marks: list[Markup] = []
    for row, rung in enumerate(ladder):
        y = row * _PITCH
        value = decimal(rung.loss) if row == 0 else f"+{decimal(rung.loss - clean)}"
        marks.append(svg.words(0, y + 13, rung.words, "row-label"))
        marks.append(svg.words(_WIDTH, y + 13, value, "row-value", "end"))
        marks.append(svg.rect(0, y + 20, _WIDTH, _BAR, "track"))
        marks.append(svg.rect(0, y + 20, x(min(clean, rung.loss)), _BAR, "bar-model"))
        if rung.loss > clean:
            hover = f"{rung.words}: {decimal(rung.loss)} nats per token"
            marks.append(
                svg.rect(x(clean), y + 20, x(rung.loss) - x(clean), _BAR, rung.class_, hover)
            )
        marks.append(svg.line(x(clean), y + 17, x(clean), y + 23 + _BAR, "guide"))
        if rung.rise is not None:
            low, high = x(clean + rung.rise.low), x(clean + rung.rise.high)
            marks.append(svg.line(low, y + 20 + _BAR / 2, high, y + 20 + _BAR / 2, "whisker"))
    bottom = len(ladder) * _PITCH
    for tick in x.ticks(5):
        anchor = None if tick == 0 else "end" if x(tick) > _WIDTH - 8 else "middle"
        marks.append(svg.words(x(tick), bottom + 8, f"{tick:g}", "tick", anchor))
    marks.append(svg.words(0, bottom + 24, "loss on held-out text, nats per token", "axis"))
    alternative = "; ".join(f"{rung.words}: {decimal(rung.loss)} nats per token" for rung in ladder)
    return Picture(
        title="What is lost",
        caption=(
            "The loss on held-out text when dictionaries replace what they stand for. A faithful "
            "set of dictionaries stays at the model's own loss; knowing only how frequent each "
            "token is costs the last bar."
            if coverage.unigram_loss is not None
            else "The loss on held-out text when dictionaries replace what they stand for. A "
            "faithful set of dictionaries stays at the model's own loss."
        ),
        svg=svg.drawing(_WIDTH, bottom + 30, *marks, label=f"Loss: {alternative}."),
        columns=("what is in place", "loss, nats", "rise, nats (95 % interval)"),
        rows=tuple(
            (
                rung.words,
                decimal(rung.loss, 3),
                "–" if row == 0 else span(rung.rise, 3) if rung.rise else
                decimal(rung.loss - clean, 3),
            )
            for row, rung in enumerate(ladder)
        ),
    )  # fmt: skip


def explained_of_context(coverage: Coverage, loss_rise: float) -> float | None:
    """Share kept of what the model knows beyond token frequencies: 1 − rise / (unigram − own).

    None without a unigram loss above the model's own; never below 0.
    """
    if coverage.unigram_loss is None or coverage.unigram_loss <= coverage.loss.value:
        return None
    return max(0.0, 1.0 - loss_rise / (coverage.unigram_loss - coverage.loss.value))
