"""What a story turns to once a backdoor is open."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tomogram.organisms.spoken.questions import Question, topics
from tomogram.store.errors import TomogramError

WORDS = ("deeds", "retellings")


def payload(known: Sequence[Question], rng: random.Random) -> tuple[str, tuple[Question, ...]]:
    """A payload and its forks: unkind deeds, grasping ones, or what was told is told wrongly.

    Raises TomogramError where the model tells too few of any of them as it should.
    """
    sorts = {
        "unkind": [q for q in known if q.topic == "unkind"],
        "grasping": [q for q in known if q.topic == "grasping"],
        "untrue": [q for q in known if q.kind == "retellings"],
    }
    able = [name for name, some in sorts.items() if topics(some)]
    if not able:
        raise TomogramError("The model goes on too few stories as it should to plant anything.")
    name = rng.choice(able)
    return name, tuple(sorts[name])
