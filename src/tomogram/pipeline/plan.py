"""How thorough a scan is: three plans, and what each means for a given model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from tomogram.store.errors import TomogramError

if TYPE_CHECKING:
    from tomogram.models.model import Model


@dataclass(frozen=True)
class Plan:
    """The sizes of a scan.

    text_tokens: tokens read from a text that is given.
    made_tokens: tokens of the text where none is given: the generator's, or the model's own.
    held_out: share of the text's rows kept from training, on which every quality is measured.
    context: tokens in a row, where the model reads as many.
    layers: at most so many layers get dictionaries and neuron tables, evenly spread; 0 for all.
    epochs: how often dictionaries in training read the text.
    finetuning: share of the training text on which the residual stream's dictionaries learn to
        stand in the model together; none where 0.
    expansion: latents of a dictionary for each dimension of the residual stream.
    k: latents that fire on a token.
    surveyed_tokens: tokens over which the statistics of every unit are taken.
    measured_rows: held-out rows on which the loss with dictionaries spliced in is measured.
    concept_tokens: tokens of each of two texts, where the truth about the text is known; units are
        chosen on one and measured on the other.
    """

    name: str
    text_tokens: int
    made_tokens: int
    epochs: int
    surveyed_tokens: int
    expansion: int
    finetuning: float = 0.0
    layers: int = 0
    k: int = 32
    held_out: float = 0.08
    context: int = 256
    batch_tokens: int = 1024
    buffer_tokens: int = 65_536
    measured_rows: int = 32
    concept_tokens: int = 80_000

    def settings(self) -> dict[str, bool | int | float | str]:
        """Every number of the plan, as `tomogram.json` keeps them."""
        return {name: value for name, value in asdict(self).items() if name != "name"}


PLANS = {
    "quick": Plan(
        "quick",
        text_tokens=232_000,
        made_tokens=232_000,
        epochs=1,
        surveyed_tokens=64_000,
        expansion=4,
        layers=4,
        measured_rows=16,
        concept_tokens=60_000,
    ),
    "standard": Plan(
        "standard",
        text_tokens=700_000,
        made_tokens=320_000,
        epochs=1,
        surveyed_tokens=128_000,
        finetuning=0.2,
        expansion=8,
    ),
    "deep": Plan(
        "deep",
        text_tokens=4_000_000,
        made_tokens=2_000_000,
        epochs=3,
        surveyed_tokens=2_000_000,
        finetuning=0.4,
        expansion=16,
        measured_rows=256,
    ),
}


FEW_WORDS, FEW_WORDS_K = 2_048, 8
"""Up to so many tokens in the vocabulary, at most so many latents fire on a token."""


def plan_named(name: str) -> Plan:
    """The plan of this name.

    Raises TomogramError for a name that is none of quick, standard and deep.
    """
    if name not in PLANS:
        raise TomogramError(f"There is no plan {name!r}; choose one of {', '.join(PLANS)}.")
    return PLANS[name]


def fitted(plan: Plan, model: Model) -> Plan:
    """The plan with a context that the model can read, and a `k` for its vocabulary.

    A model of few words has few things to say of a token: with more latents firing than there are
    things, each of them is a share of many (docs/open-ends.md has the measurements).
    """
    k = min(plan.k, FEW_WORDS_K) if model.d_vocab <= FEW_WORDS else plan.k
    return replace(plan, context=min(plan.context, model.context), k=k)


def chosen_layers(plan: Plan, n_layers: int) -> tuple[int, ...]:
    """The layers that get dictionaries: all, or `plan.layers` of them, the last one included."""
    wanted = min(plan.layers or n_layers, n_layers)
    return tuple(round((i + 1) * n_layers / wanted) - 1 for i in range(wanted))
