"""Reading: which features fire where in some short texts, read by the model just now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from tomogram.activations.stream import by_token
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.features.units import Firings, latent_firings
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError

_TOKENS_AT_ONCE = 4_096


@dataclass(frozen=True, eq=False)
class Reading:
    """The firings of some dictionaries' features in some texts."""

    texts: tuple[tuple[int, ...], ...]
    """The token ids of each text."""
    firings: dict[str, Firings]
    """By dictionary; a token's number counts the tokens of all texts, one text after the other."""

    @property
    def starts(self) -> np.ndarray:
        """Number of the first token of each text, and of the end."""
        return np.concatenate([[0], np.cumsum([len(text) for text in self.texts])])

    def strongest(self, family: str, size: int, *, skip: int = 0) -> sparse.csr_array:
        """The largest activation of each unit in each text, [texts size], float32.

        Args:
            skip: tokens at the start of each text that do not count, such as the beginning-of-text
                token, on which many features fire whatever follows.
        """
        own = self.firings[family]
        text = np.searchsorted(self.starts, own.token, side="right") - 1
        counted = own.token - self.starts[text] >= skip
        text, unit, activation = text[counted], own.unit[counted], own.activation[counted]
        order = np.lexsort((-activation, unit, text))
        text, unit, activation = text[order], unit[order], activation[order]
        first = np.ones(len(text), bool)
        first[1:] = (text[1:] != text[:-1]) | (unit[1:] != unit[:-1])
        entries = (activation[first], (text[first], unit[first]))
        return sparse.csr_array(entries, shape=(len(self.texts), size))


def read(
    model: Model, dictionaries: Sequence[Dictionary], texts: Sequence[Sequence[int]]
) -> Reading:
    """Run the model over each text by itself and encode what every dictionary reads.

    Raises:
        TomogramError: a text is empty or longer than the model's context, or a token is unknown.
    """
    if not texts or any(len(text) == 0 for text in texts):
        raise TomogramError("There is no text to read.")
    longest = max(map(len, texts))
    if longest > model.context:
        raise TomogramError(
            f"A text of {longest:,} tokens is longer than the {model.context:,} that "
            f"{model.name} reads."
        )
    starts = np.concatenate([[0], np.cumsum([len(text) for text in texts])])
    sites = sorted({site for each in dictionaries for site in each.shape.reads}, key=str)
    found: dict[str, list[Firings]] = {each.name: [] for each in dictionaries}
    # Texts of like length share a batch; the padding stands behind them, where nothing sees it.
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    rows = max(1, _TOKENS_AT_ONCE // longest)
    for batch in (order[i : i + rows] for i in range(0, len(order), rows)):
        width = max(len(texts[i]) for i in batch)
        tokens = torch.tensor(
            [[*texts[i], *[texts[i][-1]] * (width - len(texts[i]))] for i in batch]
        )
        model.check_tokens(tokens)
        # Only what is no padding is encoded, which is the dearest part.
        real = np.arange(width) < np.array([len(texts[i]) for i in batch])[:, None]
        number = (starts[batch][:, None] + np.arange(width))[real]
        kept = torch.from_numpy(np.flatnonzero(real))
        with torch.no_grad():
            run = model.run(tokens, capture=sites, logits=False)
            for each in dictionaries:
                x = torch.cat([by_token(site, run[site]) for site in each.shape.reads], dim=1)
                own = latent_firings(
                    each.encode(x[kept.to(x.device)].to(each.W_enc.device, each.W_enc.dtype))
                )
                found[each.name].append(Firings(number[own.token], own.unit, own.activation))
    return Reading(
        tuple(tuple(map(int, text)) for text in texts),
        {name: _in_order(parts) for name, parts in found.items()},
    )


def _in_order(parts: Sequence[Firings]) -> Firings:
    columns = [
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("token", "unit", "activation")
    ]
    return Firings(*columns)[np.lexsort((columns[1], columns[0]))]
