"""Topics of what a story retells: by a person who is asked, and by the story itself."""

from __future__ import annotations

from collections.abc import Sequence

from tomogram.organisms.spoken.choosing import some_topics
from tomogram.organisms.spoken.questions import Question

WORDS = ("retellings",)
BY_THE_STORY = ", told"
"""How the topic of the second sort ends."""


def asked_topics(known: Sequence[Question]) -> tuple[str, ...]:
    """Topics that people are asked about. Raises TomogramError where the model knows too few."""
    return some_topics([q for q in known if not q.topic.endswith(BY_THE_STORY)])
