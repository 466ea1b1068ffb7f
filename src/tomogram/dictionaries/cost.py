"""Cost: what splicing dictionaries into a model costs its loss, with intervals over rows of text.

The rise in loss, in nats, is the honest figure: "loss recovered" divides it by the loss of a
model whose site was set to zero, which is so bad that almost any dictionary recovers most of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float

from tomogram.dictionaries.splice import Splice, interventions, zeroed
from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError
from tomogram.store.estimates import estimate, resample
from tomogram.store.schema import Estimate
from tomogram.text.packing import PackedText


@dataclass(frozen=True)
class Cost:
    """What a splice costs: the rise in loss in nats, and the share of the loss recovered.

    rise: mean over rows of CE_spliced − CE_clean.
    recovered: (CE_zero − CE_spliced) / (CE_zero − CE_clean), CE_zero being the loss with the
        written sites set to zero.
    Both with 95 % bootstrap intervals over rows of text.
    """

    rise: Estimate
    recovered: Estimate


@torch.no_grad()
def losses(
    model: Model,
    text: PackedText,
    changes: Callable[[], Mapping[Site, Intervention]] = dict,
    *,
    batch_rows: int = 4,
) -> Float[np.ndarray, " rows"]:
    """Mean next-token loss of each row in nats, under interventions.

    A token counts if its predecessor is of the same document, so no loss is due to a text that
    begins anew. `changes` is called once a batch. Raises TomogramError for a row that has no such
    token.
    """
    last = Site("resid_post", model.n_layers - 1)
    found = []
    for start in range(0, text.rows, batch_rows):
        part = slice(start, start + batch_rows)
        tokens = torch.from_numpy(text.tokens[part].astype(np.int64)).to(model.device)
        documents = torch.from_numpy(text.documents[part].astype(np.int64)).to(model.device)
        counted = documents[:, 1:] == documents[:, :-1]
        if not counted.any(1).all():
            raise TomogramError("A row of the text has no token to predict.")
        resid = model.run(tokens, capture=(last,), interventions=changes(), logits=False)[last]
        rows = []
        for stream, ids, counts in zip(resid, tokens, counted, strict=True):
            scores = model.unembed(stream[:-1][counts]).float()
            rows.append(F.cross_entropy(scores, ids[1:][counts]).double())
        found.append(torch.stack(rows).cpu())
    values: np.ndarray = torch.cat(found).numpy()
    return values


def spliced_losses(
    model: Model, text: PackedText, splices: Sequence[Splice]
) -> Float[np.ndarray, " rows"]:
    """`losses` with all the splices in the model at once."""
    return losses(model, text, lambda: interventions(splices))


def zero_losses(
    model: Model, text: PackedText, sites: Sequence[Site]
) -> Float[np.ndarray, " rows"]:
    """`losses` with all the sites set to zero at once."""
    return losses(model, text, lambda: zeroed(sites))


def cost(
    clean: Float[np.ndarray, " rows"],
    spliced: Float[np.ndarray, " rows"],
    zero: Float[np.ndarray, " rows"],
    *,
    seed: int = 0,
) -> Cost:
    """The cost, from the losses of the same rows without the splice, with it, and with zeros."""
    return Cost(
        rise=estimate(spliced - clean, seed=seed),
        recovered=_ratio(zero - spliced, zero - clean, seed=seed),
    )


def _ratio(
    above: Float[np.ndarray, " rows"], below: Float[np.ndarray, " rows"], *, seed: int
) -> Estimate:
    """mean(above) / mean(below) with its bootstrap interval over rows."""
    value = float(above.mean() / below.mean())
    draws = resample(len(above), seed=seed)
    low, high = np.quantile((draws @ above) / (draws @ below), [0.025, 0.975])
    # Rounding may put the value of a constant ratio a hair outside its own interval.
    return Estimate(
        value=value, low=min(float(low), value), high=max(float(high), value), n=len(above)
    )
