"""Search by what features promote: those that push a token up, or down, when they fire."""

from __future__ import annotations

from collections.abc import Sequence

from tomogram.features.search.catalogue import Catalogue
from tomogram.features.tables import Tables
from tomogram.store.errors import TomogramError


def spelled(word: str, spelling: Sequence[str]) -> list[int]:
    """Ids of the tokens that read as a word, whatever their spaces and capitals.

    Raises TomogramError where no token does.
    """
    wanted = word.strip().casefold()
    ids = [i for i, token in enumerate(spelling) if token.strip().casefold() == wanted]
    if not wanted or not ids:
        raise TomogramError(f"No single token of the model reads {word!r}.")
    return ids


def promoting(
    tables: Tables,
    catalogue: Catalogue,
    tokens: Sequence[int],
    *,
    limit: int,
    suppressing: bool = False,
) -> list[tuple[int, float]]:
    """Features with one of some tokens among those they promote most, strongest first.

    The score is the effect on the token's logit for a unit of activation, weighed by the largest
    activation seen, so that features whose directions have different lengths compare.

    Args:
        suppressing: those that push the tokens down instead.
    """
    column = "suppressed" if suppressing else "promoted"
    rows = tables.query(
        f"SELECT family, unit, largest, {column} AS ids, {column}_by AS effects FROM features"
        f" WHERE kind = 'latent' AND count > 0 AND list_has_any({column}, ?::INTEGER[])",
        (list(tokens),),
    )
    wanted = set(tokens)
    found = []
    for row in rows:
        effects = [
            by for token, by in zip(row["ids"], row["effects"], strict=True) if token in wanted
        ]
        strongest = max(map(abs, effects)) * row["largest"]
        found.append((catalogue.number(row["family"], row["unit"]), float(strongest)))
    return sorted(found, key=lambda each: (-each[1], each[0]))[:limit]
