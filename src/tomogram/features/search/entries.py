"""Entries: what the index of words is told of every unit, read from its exemplars."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from tomogram.features.exemplars import excerpt
from tomogram.features.search.catalogue import Catalogue
from tomogram.features.search.words import LONGEST, Entry
from tomogram.features.tables import Tables, window_of
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

STRONG = 0.5
"""A word counts as fired on where the activation is at least this share of the exemplar's peak."""
EXEMPLARS = 8
"""Exemplars read of each unit, the strongest first."""
_WORD = re.compile(r"\w+")
_TOKEN_LONGEST = 64


def entries(
    tables: Tables, catalogue: Catalogue, text: PackedText, spelling: Sequence[str]
) -> Iterator[Entry]:
    """One entry for every unit that fires, in the order of the catalogue.

    Raises TomogramError where the exemplars are of another text.
    """
    short = [word[:_TOKEN_LONGEST] for word in spelling]
    promoted = _promoted(tables, catalogue, short)
    rows = tables.stream(
        "SELECT family, unit, position, peak, activations FROM exemplars"
        " JOIN (SELECT family, unit, layer FROM features) USING (family, unit)"
        f" WHERE kind = 'top' AND rank < {EXEMPLARS} ORDER BY layer, family, unit, rank"
    )
    for (family, unit), own in groupby(rows, key=lambda row: (row["family"], row["unit"])):
        number = catalogue.number(family, unit)
        fires: dict[str, None] = {}
        context: dict[str, None] = {}
        for row in own:
            try:
                shown = excerpt(text.tokens, text.documents, row["position"], window_of(row))
            except ValueError as error:
                raise TomogramError(f"The exemplars are of another text: {error}.") from error
            spelled = [short[token] if token < len(short) else "" for token in shown.tokens]
            strong = shown.activations >= STRONG * row["peak"]
            for word, is_fired in _words(spelled, strong):
                (fires if is_fired else context)[word] = None
        yield Entry(
            number,
            catalogue.labels[number] or "",
            " ".join(fires)[:LONGEST],
            " ".join(word for word in context if word not in fires)[:LONGEST],
            promoted.get(number, ""),
        )


def _words(tokens: Sequence[str], strong: np.ndarray) -> Iterator[tuple[str, bool]]:
    """The words of a stretch of tokens, and whether a strong token has part in each."""
    ends = np.cumsum([len(token) for token in tokens])
    marked = np.zeros(int(ends[-1]) + 1 if len(ends) else 1, bool)
    for token, end in zip(np.flatnonzero(strong).tolist(), ends[strong].tolist(), strict=True):
        marked[end - len(tokens[token]) : end] = True
    for match in _WORD.finditer("".join(tokens).lower()):
        yield match.group(), bool(marked[match.start() : match.end()].any())


def _promoted(tables: Tables, catalogue: Catalogue, spelling: Sequence[str]) -> dict[int, str]:
    rows = tables.stream("SELECT family, unit, promoted FROM features WHERE promoted IS NOT NULL")
    return {
        catalogue.number(row["family"], row["unit"]): " ".join(
            spelling[token].strip() for token in row["promoted"] if token < len(spelling)
        )
        for row in rows
    }
