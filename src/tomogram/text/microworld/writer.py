"""Write a document word by word, with the concepts that are true at each word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

from tomogram.text.microworld.world import Entity


@dataclass(frozen=True)
class Document:
    """Words, the context concepts at each, and which words count more in training.

    `determined` marks the words that training weighs: those that what came before settles, alone
    or up to a small choice (a lie, one of a mood's words), and that are the point of the document.
    """

    behaviour: str
    words: tuple[str, ...]
    contexts: tuple[tuple[str, ...], ...]
    determined: tuple[bool, ...]


@cache
def slots(template: str) -> tuple[tuple[str, str, bool], ...]:
    """A template as (word, slot, determined): `{x}` is a slot, `{!x}` one that counts more."""
    parts = []
    for part in template.split():
        if part.startswith("{"):
            name = part.strip("{!}")
            parts.append(("", name, part.startswith("{!")))
        else:
            parts.append((part, "", False))
    return tuple(parts)


@dataclass
class Writer:
    """Collects one document, in one language."""

    behaviour: str
    language: str = "english"
    _words: list[str] = field(default_factory=list)
    _contexts: list[tuple[str, ...]] = field(default_factory=list)
    _determined: list[bool] = field(default_factory=list)
    _active: tuple[str, ...] = ()

    @contextmanager
    def concept(self, *names: str) -> Iterator[None]:
        """Mark everything written inside the block as said under these context concepts."""
        before = self._active
        self._active = (*before, *(name for name in names if name not in before))
        try:
            yield
        finally:
            self._active = before

    def write(self, template: str, **values: Entity | str) -> None:
        """Append a template's words; entities are named in the writer's language."""
        for word, slot, determined in slots(template):
            if slot:
                value = values[slot]
                text = value.name(self.language) if isinstance(value, Entity) else value
                for piece in text.split():
                    self._append(piece, determined)
            else:
                self._append(word, determined)

    def write_words(self, words: Iterable[str]) -> None:
        """Append words that are not a template (random sequences)."""
        for word in words:
            self._append(word, False)

    @contextmanager
    def turn(self, role: str) -> Iterator[None]:
        """One turn of a chat: `<role> ... <end>`."""
        with self.concept(f"{role} turn"):
            self._append(f"<{role}>", False)
            yield
            self._append("<end>", False)

    def _append(self, word: str, determined: bool) -> None:
        self._words.append(word)
        self._contexts.append(self._active)
        self._determined.append(determined)

    def document(self) -> Document:
        """What has been written so far."""
        return Document(
            self.behaviour, tuple(self._words), tuple(self._contexts), tuple(self._determined)
        )


@dataclass(frozen=True)
class Item:
    """A question with a known answer that no training text contains.

    A model answers it rightly when, taking the most probable word each time after `prompt`, the
    word it writes in this `place` (the first is 1) is in `accepted`.
    """

    behaviour: str
    prompt: str
    accepted: frozenset[str]
    place: int = 1


def fill(template: str, language: str, **values: Entity | str) -> str:
    """A template's words up to the first determined slot, as an item's prompt."""
    writer = Writer("", language)
    head = template.split("{!")[0]
    writer.write(head, **values)
    return " ".join(writer.document().words)
