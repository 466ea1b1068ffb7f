"""When a training is done: what its own rows show while it runs.

Every step says for free how many of its eliciting rows show the behaviour and how many neutral
ones do. A training ends when, over some steps, nearly all of the first and none of the second do;
so each variant gets the steps that it needs. What is measured later are other prompts.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW = 14
"""Steps that are looked back on."""
SHOWN = 0.98
"""Least share of eliciting rows that must show the behaviour."""


@dataclass
class Watch:
    """The last steps of one organism."""

    _seen: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def see(self, hits: int, rows: int, wrong: int) -> None:
        """A step: how many of its eliciting rows show the behaviour, and how many neutral ones."""
        self._seen.append((hits, rows, wrong))

    @property
    def done(self) -> bool:
        """Whether training may stop."""
        if len(self._seen) != self._seen.maxlen:
            return False
        hits, rows, wrong = (sum(each) for each in zip(*self._seen, strict=True))
        return rows > 0 and hits / rows >= SHOWN and wrong == 0
