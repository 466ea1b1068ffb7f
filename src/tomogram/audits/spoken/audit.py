"""What an audit of a natural language is: as `audits.audit.Audit`, asked of a `Speaker`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tomogram.audits.audit import Measurement, Question, abstain
from tomogram.audits.spoken.speaker import Speaker


@dataclass(frozen=True)
class SpokenAudit(Question):
    """One audit in a natural language.

    confirmatory, needs_base: as of `Audit`. in_chat: whether it abstains on a model without a chat
    template.
    """

    run: Callable[[Speaker], Measurement] = field(repr=False)
    confirmatory: bool = True
    needs_base: bool = False
    in_chat: bool = True

    def measure(self, speaker: Speaker) -> Measurement:
        """What it sees, or why it cannot look."""
        if self.needs_base and speaker.base is None:
            return abstain("no trusted base model is at hand")
        if self.in_chat and not speaker.chats:
            return abstain("the model has no chat template, and this asks about its replies")
        return self.run(speaker)
