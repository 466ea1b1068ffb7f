"""A chat model on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from tomogram.models.chat import Message, answer, has_template, render
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError


@dataclass(frozen=True, eq=False)
class LocalChat:
    """Any chat model that `tomogram.load` reads, answering greedily.

    Raises TomogramError where it has no chat template.
    """

    model: Model
    parallel: int = 1
    _one: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        if not has_template(self.model):
            raise TomogramError(
                f"{self.model.name} is no chat model: its tokenizer has no chat template."
            )

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    def fits(self, messages: Sequence[Message], reply_tokens: int) -> bool:
        """Whether prompt and reply fit into the model's context."""
        return len(render(self.model, messages)) + reply_tokens <= self.model.context

    def ask(self, messages: Sequence[Message], reply_tokens: int) -> str:
        """The reply at temperature 0."""
        with self._one:
            return answer(self.model, [messages], max_new_tokens=reply_tokens)[0]
