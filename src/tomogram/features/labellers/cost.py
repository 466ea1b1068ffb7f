"""Cost: what asking a chat model will take, told before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tomogram.models.chat import Message

CHARACTERS = 3.5
"""Characters of English a token has, about; the endpoint's own tokenizer is not known here."""


@dataclass(frozen=True)
class Cost:
    """Requests and tokens, and their price where prices are known."""

    requests: int = 0
    prompt_tokens: int = 0
    reply_tokens: int = 0
    """At most: as many as replies may have."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.reply_tokens + other.reply_tokens,
        )

    def times(self, n: int) -> Cost:
        """The cost of doing the same n times."""
        return Cost(n * self.requests, n * self.prompt_tokens, n * self.reply_tokens)

    def price(self, prompt: float, reply: float) -> float:
        """What that costs at so much for a million tokens of prompts and of replies."""
        return (self.prompt_tokens * prompt + self.reply_tokens * reply) / 1e6


def cost_of(messages: Sequence[Message], reply_tokens: int) -> Cost:
    """The cost of one request, from the length of its prompt."""
    characters = sum(len(message["content"]) for message in messages)
    return Cost(1, round(characters / CHARACTERS) + 8, reply_tokens)
