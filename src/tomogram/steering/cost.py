"""Cost: what edits do to the loss on ordinary text."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from tomogram.dictionaries.cost import effects
from tomogram.models.model import Model
from tomogram.steering.edits import Change, interventions
from tomogram.steering.positions import watching
from tomogram.store.estimates import estimate, ratio, within
from tomogram.store.schema import Estimate
from tomogram.text.packing import PackedText


@dataclass(frozen=True)
class TextCost:
    """What edits cost on ordinary text, with 95 % intervals over its rows.

    loss: of the model as it is, nats a token. rise: how much higher it is with the edits.
    relative: rise / loss. divergence: KL from the prediction as it is to the edited one.
    """

    loss: Estimate
    rise: Estimate
    relative: Estimate
    divergence: Estimate

    @property
    def worst(self) -> float:
        """The larger of rise and divergence, over the loss: what a search keeps within its budget.

        The two agree where a model is calibrated. The loss alone may fall while the predictions are
        ruined, on text that the model predicts worse than chance.
        """
        return max(self.rise.value, self.divergence.value) / self.loss.value


def text_costs(
    model: Model,
    text: PackedText,
    edits: Mapping[Hashable, Sequence[Change]],
    *,
    batch_rows: int = 8,
    seed: int = 0,
) -> dict[Hashable, TextCost]:
    """What each set of edits costs on a text, all measured on the same rows in one go.

    Raises:
        TomogramError: the model lacks a site of an edit, or a row has no token to predict.
    """
    for each in edits.values():
        model.check_sites(site for edit in each for site in (edit.read, edit.write))
    with watching(model) as watch:
        names = {key: str(number) for number, key in enumerate(edits)}
        asked = {names[key]: partial(interventions, each, watch) for key, each in edits.items()}
        clean, found = effects(model, text, asked, batch_rows=batch_rows)
    return {
        key: _cost(clean, found[name].losses, found[name].divergences, seed)
        for key, name in names.items()
    }


def _cost(
    clean: Float[np.ndarray, " rows"],
    edited: Float[np.ndarray, " rows"],
    divergences: Float[np.ndarray, " rows"],
    seed: int,
) -> TextCost:
    return TextCost(
        estimate(clean, seed=seed),
        estimate(edited - clean, seed=seed),
        ratio(edited - clean, clean, seed=seed),
        within(estimate(divergences, seed=seed), low=0.0),
    )
