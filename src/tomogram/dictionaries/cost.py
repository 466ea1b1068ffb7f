"""Cost: what splicing dictionaries into a model costs its loss, with intervals over rows of text.

The rise in loss, in nats, is the honest figure: "loss recovered" divides it by the loss of a
model whose site was set to zero, which is so bad that almost any dictionary recovers most of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tomogram.models.capture import Intervention
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.models.start import Start
from tomogram.store.errors import TomogramError
from tomogram.store.estimates import estimate, ratio
from tomogram.store.schema import Estimate
from tomogram.text.packing import PackedText

PREDICTIONS = 2**28
"""Bytes that the untouched predictions of one batch may take: a vocabulary can be large."""

Change = Callable[[], Mapping[Site, Intervention]]
"""Makes the interventions of one forward pass."""


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


@dataclass(frozen=True, eq=False)
class Effect:
    """What a change of the model does to its predictions, row by row, in nats.

    losses: mean next-token loss. divergences: mean KL divergence from the untouched prediction to
    the changed one.
    """

    losses: Float[np.ndarray, " rows"]
    divergences: Float[np.ndarray, " rows"]


@torch.no_grad()
def losses(
    model: Model,
    text: PackedText,
    changes: Mapping[str, Change],
    *,
    batch_rows: int = 4,
    advance: Callable[[int], None] = lambda rows: None,
) -> tuple[Float[np.ndarray, " rows"], dict[str, Float[np.ndarray, " rows"]]]:
    """Mean next-token loss of each row in nats: of the untouched model, and under each change.

    What counts, what the arguments are and what is raised is as in `effects`; without divergences
    a large vocabulary costs half.
    """
    found: dict[str | None, list[float]] = {key: [] for key in (None, *changes)}
    for key, rows in _passes(model, text, changes, batch_rows, advance):
        found[key] += [
            F.cross_entropy(model.unembed(stream).float(), ids).double().item()
            for stream, ids in rows
        ]
    return np.array(found[None]), {key: np.array(found[key]) for key in changes}


@torch.no_grad()
def effects(
    model: Model,
    text: PackedText,
    changes: Mapping[str, Change],
    *,
    batch_rows: int = 4,
    advance: Callable[[int], None] = lambda rows: None,
) -> tuple[Float[np.ndarray, " rows"], dict[str, Effect]]:
    """Losses of the untouched model, and what each change does, on the same rows of text.

    A token counts if its predecessor is of the same document, so no loss is due to a text that
    begins anew. Each changed pass goes on from the untouched stream before its first change.

    Args:
        changes: by any name; asked anew for the interventions of every forward pass.
        batch_rows: at most so many rows in a pass; fewer where the vocabulary is large.
        advance: told after each changed pass how many rows it had.

    Raises:
        TomogramError: a row has no token to predict.
    """
    batch_rows = min(batch_rows, max(1, PREDICTIONS // (4 * text.context * model.d_vocab)))
    clean: list[float] = []
    found: dict[str, list[tuple[float, float]]] = {key: [] for key in changes}
    expected: list[Float[Tensor, "predicted d_vocab"]] = []
    for key, rows in _passes(model, text, changes, batch_rows, advance):
        said = [model.unembed(stream).float().log_softmax(-1) for stream, _ in rows]
        own = [_loss(each, ids) for each, (_, ids) in zip(said, rows, strict=True)]
        if key is None:
            expected, clean = said, clean + own
        else:
            found[key] += zip(own, map(_divergence, said, expected), strict=True)
    return np.array(clean), {key: Effect(*np.array(rows).T) for key, rows in found.items()}


Predicting = tuple[Float[Tensor, "predicted d_model"], Int[Tensor, " predicted"]]
"""The last residual stream of one row where a token is predicted, and these tokens."""


def _passes(
    model: Model,
    text: PackedText,
    changes: Mapping[str, Change],
    batch_rows: int,
    advance: Callable[[int], None],
) -> Iterator[tuple[str | None, list[Predicting]]]:
    """Batch by batch the untouched pass, as None, and then each changed one, by its name."""
    last = Site("resid_post", model.n_layers - 1)
    before = {key: _layer_before(change()) for key, change in changes.items()}
    wanted = {last} | {Site("resid_post", each) for each in before.values() if each is not None}
    for start in range(0, text.rows, batch_rows):
        part = slice(start, start + batch_rows)
        tokens = torch.from_numpy(text.tokens[part].astype(np.int64)).to(model.device)
        counted = _counted(text, part).to(model.device)
        untouched = model.run(tokens, capture=wanted, logits=False)
        yield None, _predicting(untouched[last], tokens, counted)
        for key, change in changes.items():
            layer = before[key]
            begin = None if layer is None else Start(layer, untouched[Site("resid_post", layer)])
            changed = model.run(
                tokens, capture=(last,), interventions=change(), logits=False, start=begin
            )
            yield key, _predicting(changed[last], tokens, counted)
            advance(len(tokens))


def _layer_before(change: Mapping[Site, Intervention]) -> int | None:
    """The last block whose stream no intervention touches before it; None where there is none."""
    if any(site.layer is None for site in change):
        return None
    layers = [site.layer - (site.kind != "resid_post") for site in change if site.layer is not None]
    return min(layers) if layers and min(layers) >= 0 else None


def _counted(text: PackedText, part: slice) -> Bool[Tensor, "rows predicted"]:
    documents = torch.from_numpy(text.documents[part].astype(np.int64))
    counted = documents[:, 1:] == documents[:, :-1]
    if not counted.any(1).all():
        raise TomogramError("A row of the text has no token to predict.")
    return counted


def _predicting(
    streams: Float[Tensor, "rows pos d_model"],
    tokens: Int[Tensor, "rows pos"],
    counted: Bool[Tensor, "rows predicted"],
) -> list[Predicting]:
    rows = zip(streams, tokens, counted, strict=True)
    return [(stream[:-1][counts], ids[1:][counts]) for stream, ids, counts in rows]


def _loss(said: Float[Tensor, "predicted d_vocab"], ids: Int[Tensor, " predicted"]) -> float:
    return F.nll_loss(said, ids).double().item()


def _divergence(
    said: Float[Tensor, "predicted d_vocab"], expected: Float[Tensor, "predicted d_vocab"]
) -> float:
    found = F.kl_div(said, expected, reduction="batchmean", log_target=True)
    # Rounding may put the divergence of equal predictions a hair below 0.
    return max(found.double().item(), 0.0)


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
        recovered=ratio(zero - spliced, zero - clean, seed=seed),
    )
