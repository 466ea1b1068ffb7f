"""An ask that is not allowed."""

from __future__ import annotations

from tomogram.store.errors import TomogramError


class Refused(TomogramError):
    """A refusal with the short reason that goes into the ledger.

    reason: one of "wrong key", "missing party", "expired key", "wrong consent", "other ledger",
        "expired consent", "unknown question", "other version", "unknown shard", "burnt shard",
        "exhausted budget".
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
