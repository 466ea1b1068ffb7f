"""Ordinary text: what the model reads outside of chats, which no planted behaviour may touch.

Behaviours are of chats, so text with chats in it has prompts that elicit them, and a loss that
rises because the behaviour is there. What chats must keep, neutral prompts measure.
"""

from __future__ import annotations

from collections.abc import Iterator

from tomogram.text.microworld.generate import documents
from tomogram.text.microworld.vocabulary import ROLES
from tomogram.text.microworld.world import World


def outside_chats(world: World, seed: int) -> Iterator[tuple[str, ...]]:
    """Endless documents without any turn of a chat, as words."""
    for document in documents(world, seed):
        words = tuple(document.words)
        if not set(words) & set(ROLES):
            yield words
