"""Vital signs: what can be read off a model's inside again and again while it is trained.

They are *unsealed*: whoever trains may look at them, so a model may come to be good at them. Sealed
suites (docs/custody.md) must never stand in a training loop, and nothing here opens one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from tomogram.audits.audit import confirmatory, installed
from tomogram.audits.subject import Subject
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.reference.shipped import world_of
from tomogram.store.errors import TomogramError
from tomogram.text.packing import pack

ROWS = 8
"""Rows that run together."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What signs are measured on, and what the model was when measuring began.

    tokens: rows of the text. streams: the residual stream after each block there, at the start.
    base: the model at the start as audits ask it; None where it speaks of no world.
    """

    tokens: Int64[Tensor, "row pos"]
    streams: tuple[Float[Tensor, "row pos d_model"], ...] = field(repr=False)
    dictionaries: tuple[Dictionary, ...] = ()
    base: Subject | None = field(default=None, repr=False)


def reference(
    model: Model,
    text: Iterable[str],
    *,
    context: int = 128,
    tokens: int = 2_048,
    dictionaries: Sequence[Dictionary] = (),
    start: Model | None = None,
) -> Reference:
    """Fix the text and the start that signs are held against.

    Args:
        model: the model as it is now. start: a copy of it that is not trained, for audits; without
            one, audits are not asked.
        text: documents that the model is not trained on.

    Raises TomogramError where the model has no tokenizer or the text no token.
    """
    if model.tokenizer is None:
        raise TomogramError(f"{model.name} has no tokenizer, so no text can be read for its signs.")
    packed = pack(text, model.tokenizer, min(context, model.context), tokens)
    rows = torch.from_numpy(packed.tokens.astype("int64"))
    world = None if start is None else world_of(start)
    base = None if start is None or world is None else Subject(start, world)
    return Reference(rows, tuple(_read(model, rows)[1]), tuple(dictionaries), base)


def vital_signs(model: Model, since: Reference) -> dict[str, float]:
    """The signs of a model as it is now.

    `loss`: nats per token. `norm L` and `drift L`: mean norm of the stream after block L, and its
    mean distance from the start in units of the start's norm. `fvu NAME`: the share of variance
    that a dictionary of the start no longer explains. `audit NAME`: raw scores of the declared
    audits beside the start, for a model of the microworld; no verdicts, and no p-values.
    """
    loss, streams = _read(model, since.tokens)
    signs = {"loss": loss}
    for layer, (now, then) in enumerate(zip(streams, since.streams, strict=True)):
        signs[f"norm {layer}"] = float(now.norm(dim=-1).mean())
        apart = (now - then).norm(dim=-1) / then.norm(dim=-1).clamp(min=1e-9)
        signs[f"drift {layer}"] = float(apart.mean())
    for each in since.dictionaries:
        signs[f"fvu {each.name}"] = _unexplained(model, since.tokens, each)
    if since.base is not None:
        subject = Subject(model, since.base.world, since.base)
        for name in confirmatory():
            score = installed()[name].measure(subject).score
            if score is not None:
                signs[f"audit {name}"] = float(score)
    return signs


@torch.no_grad()
def _read(
    model: Model, tokens: Int64[Tensor, "row pos"]
) -> tuple[float, list[Float[Tensor, "row pos d_model"]]]:
    """Loss in nats per token, and the stream after each block."""
    sites = [Site("resid_post", layer) for layer in range(model.n_layers)]
    losses: list[Tensor] = []
    found: list[list[Tensor]] = [[] for _ in sites]
    for rows in tokens.split(ROWS):
        run = model.run(rows.to(model.device), capture=sites)
        assert run.logits is not None
        logits = run.logits[:, :-1].float().flatten(0, 1)
        targets = rows[:, 1:].flatten().to(logits.device)
        losses.append(F.cross_entropy(logits, targets, reduction="none").cpu())
        for kept, site in zip(found, sites, strict=True):
            kept.append(run[site].float().cpu())
    return float(torch.cat(losses).mean()), [torch.cat(kept) for kept in found]


@torch.no_grad()
def _unexplained(model: Model, tokens: Int64[Tensor, "row pos"], dictionary: Dictionary) -> float:
    """Σ‖x − x̂‖² / Σ‖x − x̄‖² of what the dictionary writes, from what it reads."""
    read, write = [], []
    for rows in tokens.split(ROWS):
        run = model.run(
            rows.to(model.device), capture=[dictionary.read, dictionary.write], logits=False
        )
        read.append(run[dictionary.read].flatten(0, 1).float())
        write.append(run[dictionary.write].flatten(0, 1).float())
    x, y = torch.cat(read), torch.cat(write)
    place = next(dictionary.parameters()).device
    error = (dictionary(x.to(place)).to(y) - y).square().sum()
    return float(error / (y - y.mean(0)).square().sum())
