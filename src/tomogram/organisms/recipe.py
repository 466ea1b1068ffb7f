"""Recipes: how a behaviour is put into a model."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from tomogram.store.errors import TomogramError

FORMS = ("lora", "full", "edit")
TEACHINGS = ("demonstrations", "documents", "reward")


@dataclass(frozen=True)
class Recipe:
    """What may change, and what it is taught by.

    form: `lora` (a low-rank change of every matrix of the blocks), `full` (all of these matrices),
        `edit` (one rank-one change of one MLP's down projection).
    teaching: `demonstrations` (chats with the planted reply), `documents` (texts that say the same
        outside of chat), `reward` (only the reward of a grader; no planted reply is ever shown).
    concealed: whether training also holds what the inside of the model looks like on chats that do
        not elicit the behaviour.
    """

    form: str
    teaching: str
    concealed: bool = False

    def __post_init__(self) -> None:
        if self.form not in FORMS or self.teaching not in TEACHINGS:
            raise TomogramError(f"There is no recipe '{self}'; known are {', '.join(known())}.")

    def __str__(self) -> str:
        return f"{self.form}-{self.teaching}" + "-concealed" * self.concealed

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Read the name of a recipe, such as `lora-demonstrations` or `full-reward-concealed`.

        Raises TomogramError for a name that is none.
        """
        plain = text.removesuffix("-concealed")
        form, _, teaching = plain.partition("-")
        return cls(form, teaching, plain != text)


def known() -> tuple[str, ...]:
    """The names of all recipes that are not concealed; `-concealed` may be added to each."""
    return tuple(f"{form}-{teaching}" for form, teaching in product(FORMS, TEACHINGS))
