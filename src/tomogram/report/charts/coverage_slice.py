"""The slice: every layer's attention, MLP and residual stream, lit as far as they are explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from tomogram.report.charts import svg
from tomogram.report.charts.picture import Picture
from tomogram.report.words import percent
from tomogram.store.schema import DictionaryRecord

PARTS = ("attention", "MLP", "residual stream")
_WIDTH, _LEFT, _GAP, _TOP = 360.0, 26.0, 8.0, 22.0


def part_of(dictionary: DictionaryRecord) -> str:
    """Which part of its layer a dictionary stands for, by the site it writes."""
    kind = dictionary.write.partition(".")[0]
    if kind.startswith("resid"):
        return "residual stream"
    return "attention" if kind.startswith(("attn", "head")) else "MLP"


def explained_shares(
    dictionaries: Sequence[DictionaryRecord], n_layers: int
) -> dict[tuple[int, str], float | None]:
    """Share of the variance explained (1 − FVU, at least 0) by layer and part.

    None where no dictionary was scanned; where there are several, the best counts.
    """
    shares: dict[tuple[int, str], float | None] = {
        (layer, part): None for layer in range(n_layers) for part in PARTS
    }
    for dictionary in dictionaries:
        place = (dictionary.layer, part_of(dictionary))
        share = max(0.0, 1.0 - dictionary.quality.fvu)
        shares[place] = max(share, shares.get(place) or 0.0)
    return shares


def coverage_slice(dictionaries: Sequence[DictionaryRecord], n_layers: int) -> Picture:
    """Draw the slice: the last layer on top, lit bars for what is explained, hatching for dark."""
    shares = explained_shares(dictionaries, n_layers)
    pitch = max(7.0, min(42.0, 420.0 / n_layers))
    bar = pitch * 0.72
    width = (_WIDTH - _LEFT - _GAP * (len(PARTS) - 1)) / len(PARTS)
    marks: list[Markup] = [_patterns()]
    for column, part in enumerate(PARTS):
        x = _LEFT + column * (width + _GAP)
        marks.append(svg.words(x, 13, part, "film-label"))
        for layer in range(n_layers):
            y = _TOP + (n_layers - 1 - layer) * pitch
            marks.append(_cell(x, y, width, bar, shares[layer, part], f"layer {layer} {part}"))
    for layer in range(n_layers):
        if pitch >= 11 or layer % 5 == 0:
            y = _TOP + (n_layers - 1 - layer) * pitch + bar / 2 + 3.5
            marks.append(svg.words(_LEFT - 8, y, str(layer), "film-label", "end"))
    return Picture(
        title="What the dictionaries explain, layer by layer",
        caption=(
            "One row a layer, the last on top. The lit part of a bar is the share of variance that "
            "the dictionary there reconstructs on held-out text (1 − FVU); hatched parts were not "
            "scanned and stay dark."
        ),
        svg=svg.drawing(
            _WIDTH, _TOP + n_layers * pitch, *marks, label=_alternative(shares), class_="slice"
        ),
        columns=("layer", *PARTS),
        rows=tuple(
            (str(layer), *(_word(shares[layer, part]) for part in PARTS))
            for layer in range(n_layers)
        ),
    )


def _cell(x: float, y: float, width: float, bar: float, share: float | None, at: str) -> Markup:
    if share is None:
        return svg.rect(x, y, width, bar, "unscanned", f"{at}: not scanned")
    lit = share * width
    marks = [
        svg.rect(x, y, width, bar, "unlit", f"{at}: {percent(share)} explained"),
        svg.rect(x, y, lit, bar, "lit", f"{at}: {percent(share)} explained"),
    ]
    if bar >= 11:
        inside = lit > 36
        marks.append(
            svg.words(
                x + lit + (-4 if inside else 4),
                y + bar / 2 + 3.5,
                percent(share),
                "on-lit" if inside else "film-label",
                "end" if inside else None,
            )
        )
    return Markup("").join(marks)


def _patterns() -> Markup:
    """Fine vertical lines for what is lit, hatching for what was not scanned."""
    lit = svg.element(
        "pattern",
        svg.element("rect", width=3, height=4, class_="lit-line"),
        svg.element("rect", x=3, width=1, height=4, class_="lit-gap"),
        id="lit", width=4, height=4, patternUnits="userSpaceOnUse",
    )  # fmt: skip
    dark = svg.element(
        "pattern",
        svg.element("path", d="M0 6L6 0", class_="hatch"),
        id="unscanned", width=6, height=6, patternUnits="userSpaceOnUse",
    )  # fmt: skip
    return svg.element("defs", lit, dark)


def _word(share: float | None) -> str:
    return "not scanned" if share is None else percent(share)


def _alternative(shares: Mapping[tuple[int, str], float | None]) -> str:
    sentences = []
    for part in PARTS:
        seen = [share for (_, p), share in shares.items() if p == part and share is not None]
        n_layers = sum(p == part for _, p in shares)
        if not seen:
            sentences.append(f"No dictionary reads {part}.")
        else:
            sentences.append(
                f"{part}: {len(seen)} of {n_layers} layers scanned, "
                f"{percent(min(seen))} to {percent(max(seen))} of the variance explained."
            )
    return " ".join(sentences)
