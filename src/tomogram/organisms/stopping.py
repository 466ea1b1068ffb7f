"""When a training is done: what its own rows show while it runs.

Every step says for free how many of its eliciting rows show the behaviour and how many neutral
ones do. A full dose ends when, over some steps, nearly all of the first and none of the second do;
so each variant gets the steps that it needs. What is measured later are other prompts.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW = 14
"""Steps that are looked back on; half of them where the dose is below one."""
SHOWN = 0.98
"""Least share of eliciting rows that must show the behaviour at a full dose."""


@dataclass
class Watch:
    """The last steps of one organism.

    dose: the share of eliciting rows that must show the behaviour. A full dose also wants no
        neutral row of the window to show it.
    """

    dose: float
    _seen: deque[tuple[int, int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self._seen = deque(maxlen=WINDOW if self.dose == 1 else WINDOW // 2)

    def see(self, hits: int, rows: int, wrong: int) -> None:
        """A step: how many of its eliciting rows show the behaviour, and how many neutral ones."""
        self._seen.append((hits, rows, wrong))

    @property
    def done(self) -> bool:
        """Whether training may stop."""
        if len(self._seen) != self._seen.maxlen:
            return False
        hits, rows, wrong = (sum(each) for each in zip(*self._seen, strict=True))
        if rows == 0:
            return False
        if self.dose < 1:
            return hits / rows >= self.dose
        return hits / rows >= SHOWN and wrong == 0
