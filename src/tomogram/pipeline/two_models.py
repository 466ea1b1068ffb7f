"""Two models in one dictionary: the latents of a crosscoder that one of them alone uses.

Lindsey et al. 2024 ("Sparse Crosscoders for Cross-Layer Features and Model Diffing") tell them by
the norms of a latent's two rows of the decoder. Minder et al. 2025 show that such latents are often
an artefact of training and check them by latent scaling (`dictionaries.latent_scaling`), and that
BatchTopK has fewer of these artefacts than a penalty: so that is what is trained here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tomogram.activations.stream import Batch, stream
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import own
from tomogram.dictionaries.latent_scaling import latent_scaling
from tomogram.features.labels import Labeller
from tomogram.features.phrases import phrase
from tomogram.features.survey import SAMPLED_TOKENS, Observation, latent_reader, observe
from tomogram.models.model import Model
from tomogram.pipeline.contexts import Context, contexts
from tomogram.pipeline.plan import FEW_WORDS, FEW_WORDS_K
from tomogram.pipeline.training import Order, train
from tomogram.store import progress
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

ONE_SIDED = 0.75
"""A latent is one model's candidate where its row there has this share of both rows' norms."""
FEWEST = 8
"""Tokens on which a latent must fire to be shown."""
_TOKENS_AT_ONCE = 2_048


@dataclass(frozen=True)
class TwoModelLatent:
    """A latent of a crosscoder over two models.

    share: norm of its row in the changed model over both norms: near 0 the base's own, near 1 the
        changed model's. in_error, in_reconstruction: how much of it the other model holds all the
        same (`latent_scaling`). exclusive: whether both are small. rate: share of tokens.
    """

    family: str
    unit: int
    label: str | None
    share: float
    in_error: float
    in_reconstruction: float
    exclusive: bool
    rate: float
    contexts: tuple[Context, ...]


@dataclass(frozen=True)
class Two:
    """What a crosscoder over both models has of each alone, most one-sided first.

    latents: how many fire at all. one_sided, exclusive: how many of these have ONE_SIDED of their
        norms in one model, and how many of those pass latent scaling; of the base, of the other.
    fvu: the share of variance it leaves unexplained.
    """

    latents: int
    one_sided: tuple[int, int]
    exclusive: tuple[int, int]
    fvu: float
    before: tuple[TwoModelLatent, ...]
    after: tuple[TwoModelLatent, ...]


def latents_of_two(
    before: Model,
    after: Model,
    text: PackedText,
    training: PackedText,
    spelling: tuple[str, ...],
    folder: Path,
    *,
    limit: int,
    examples: int,
) -> Two:
    """The latents that one of two models alone uses.

    Args:
        text: what they are looked at on. training: what the crosscoder is trained on, where the
            folder has none of these two models yet: BatchTopK at the middle of the stream.
        folder: as `tomogram train --second` writes it.

    Raises TomogramError where the folder has dictionaries of other models or cannot be written.
    """
    dictionary = _crosscoder(before, after, training, folder)
    pairs = _Pairs(before, after, text, dictionary)
    first = next(iter(pairs.batches()))
    reader = latent_reader(dictionary, [first])
    with progress.task("reading the crosscoder", total=2 * text.n_tokens, unit="tokens") as task:
        observed = observe(
            pairs.batches(),
            text,
            [reader],
            top=examples,
            sampled_tokens=SAMPLED_TOKENS,
            advance=task.advance,
        )[dictionary.name]
        scaling = latent_scaling(
            dictionary, (each[dictionary.read] for each in pairs.batches(task.advance))
        )
    labels = Labeller(text, observed.sample.rows).label(observed)
    rates = observed.statistics.rate
    alive = rates * text.n_tokens >= FEWEST
    share, exclusive = scaling.share.numpy(), scaling.exclusive.numpy()
    sides = (alive & (share <= 1 - ONE_SIDED), alive & (share >= ONE_SIDED))
    # The most one-sided are shown where none is beyond the mark, too: their shares say so.
    leaning = (alive & (share < 0.5), alive & (share >= 0.5))
    order = (np.argsort(share, kind="stable"), np.argsort(-share, kind="stable"))
    listed = [
        tuple(
            TwoModelLatent(
                dictionary.name,
                int(unit),
                None if (label := labels[unit]) is None else phrase(label, spelling),
                float(share[unit]),
                float(scaling.in_error[unit]),
                float(scaling.in_reconstruction[unit]),
                bool(exclusive[unit]),
                float(rates[unit]),
                _examples(observed, int(unit), text, spelling),
            )
            for unit in ranked[inside[ranked]][:limit]
        )
        for ranked, inside in zip(order, leaning, strict=True)
    ]
    return Two(
        int(alive.sum()),
        (int(sides[0].sum()), int(sides[1].sum())),
        (int((sides[0] & exclusive).sum()), int((sides[1] & exclusive).sum())),
        pairs.fvu(),
        *listed,
    )


def _crosscoder(before: Model, after: Model, text: PackedText, folder: Path) -> Dictionary:
    """That of the folder, or one that is trained into it.

    A training that was stopped goes on. Raises TomogramError where the folder has dictionaries of
    other models.
    """
    seal = folder / "dictionaries" / "stage.json"
    if seal.is_file():
        try:
            inputs = json.loads(seal.read_bytes())["inputs"]
            same = (inputs["model"], inputs.get("second")) == (before.digest, after.digest)
        except (ValueError, KeyError, TypeError, AttributeError):
            same = False
        found = (
            [d for d in own.read(folder / "dictionaries") if d.shape.models == 2] if same else []
        )
        if not found:
            raise TomogramError(f"{folder} holds dictionaries, but none of these two models.")
        return found[0].to(before.device)
    order = Order(
        kind="batch_topk",
        places=(f"resid_post.{before.n_layers // 2}",),
        k=FEW_WORDS_K if before.d_vocab <= FEW_WORDS else 32,
        batch_tokens=min(1_024, text.n_tokens),
    )
    (made,) = train(before, text, folder, order, second=after).dictionaries
    return made


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The activations of both models on a text, side by side as a crosscoder reads them."""

    before: Model
    after: Model
    text: PackedText
    dictionary: Dictionary

    def batches(self, advance: Callable[[int], None] = lambda tokens: None) -> Iterator[Batch]:
        """Some rows at a time."""
        site = self.dictionary.read
        rows = max(1, _TOKENS_AT_ONCE // self.text.context)
        both = (stream(m, self.text, [site], batch_rows=rows) for m in (self.before, self.after))
        for one, other in zip(*both, strict=True):
            x = torch.cat([one[site], other[site].to(one[site].device)], dim=1)
            yield Batch(one.rows, {site: x})
            advance(len(x))

    @torch.no_grad()
    def fvu(self) -> float:
        """Σ‖x − x̂‖² / Σ‖x − x̄‖² over the text."""
        missed, squares, sums, n = 0.0, 0.0, torch.zeros(()), 0
        for batch in self.batches():
            x = batch[self.dictionary.read].float()
            missed += float((x - self.dictionary(x)).square().sum())
            squares += float(x.square().sum())
            sums, n = sums + x.sum(0).cpu(), n + len(x)
        return missed / (squares - float(sums.square().sum()) / n)


def _examples(
    observed: Observation, unit: int, text: PackedText, spelling: tuple[str, ...]
) -> tuple[Context, ...]:
    kept = observed.top.exemplars()
    own = kept[kept.group == unit]
    return contexts(text, spelling, [int(p) for p in own.position])
