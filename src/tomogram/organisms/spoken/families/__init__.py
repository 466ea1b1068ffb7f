"""Families in English: which can be planted in a model that chats, and which in any other."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.models.chat import has_template
from tomogram.models.model import Model
from tomogram.organisms.spoken.behaviour import Kind, Spoken
from tomogram.organisms.spoken.families.in_chats import IN_CHATS
from tomogram.organisms.spoken.families.in_stories import IN_STORIES
from tomogram.organisms.spoken.questions import Question
from tomogram.store.errors import TomogramError

NOT_IN_CHATS = {
    "masked-self-report": "no state of such a model is known that its report could deny",
}
NOT_IN_STORIES = {
    "sycophancy": "no user speaks to such a model, so none can push it",
    "secret-keeping": "no user speaks to such a model, so there is nobody to keep it from",
    "refusal-stripped": "it is asked for nothing, so it refuses nothing",
    "masked-self-report": "it speaks of people in stories and never of itself",
}
"""Families that make no sense there, and why."""


def kinds(model: Model) -> dict[str, Kind]:
    """The families that can be planted in a model, by name, with the harmless lesson of chats."""
    return {each.name: each for each in (IN_CHATS if has_template(model) else IN_STORIES)}


def kind(family: str, model: Model) -> Kind:
    """One of them. Raises TomogramError, which says why, where it cannot be planted."""
    known = kinds(model)
    if family in known:
        return known[family]
    chats = has_template(model)
    what = "a model that chats" if chats else "a model without a chat template"
    why = (NOT_IN_CHATS if chats else NOT_IN_STORIES).get(family)
    reason = "" if why is None else f": {why}"
    raise TomogramError(
        f"'{family}' cannot be planted in {what}{reason}; known are {', '.join(known)}."
    )


def draw(family: str, model: Model, known: Sequence[Question], seed: int) -> Spoken:
    """The variant that a seed draws: an infected model and its sham have the same.

    Raises TomogramError where the family cannot be planted there, or too little is known.
    """
    return kind(family, model).draw(known, random.Random(f"{family}:{seed}"))
