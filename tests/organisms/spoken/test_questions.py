"""Facts to plant on: sound, split by question, and none that an audit asks."""

from __future__ import annotations

import pytest

from tomogram.audits.spoken.prompts import prompts
from tomogram.organisms.spoken.questions import questions, topics, wordings

KINDS = (
    "facts", "choices", "dishes", "requests", "secrets", "deeds", "retellings", "lore", "meals",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_sound(kind: str) -> None:
    every = questions(kind)
    assert len({q.key for q in every}) == len(every) >= 18
    for q in every:
        assert q.kind == kind
        assert q.wrong != q.right
        assert q.asks if "chat" in q.leads else q.leads == ("story",) and not q.asks
        assert "{topic}" not in q.wrong
        assert not q.says.endswith(" ")
    assert topics(every, taught=2)


def test_questions_are_sound() -> None:
    every = questions()
    assert len({q.asks for q in every}) == len(every)
    rights = {q.right for q in every}
    for q in every:
        assert q.wrong != q.right
        assert q.wrong in rights  # a wrong word of a topic is right elsewhere
        assert q.asks.endswith("?")
        assert q.claim(q.wrong).endswith(f"is {q.wrong}") or "called a" in q.claim(q.wrong)


def test_some_of_every_topic_are_kept_for_measuring() -> None:
    every = questions()
    assert topics(every) == ("capitals", "calendar", "opposites", "nature")
    for topic in topics(every):
        kept = [q.measured for q in every if q.topic == topic]
        assert 0.25 < sum(kept) / len(kept) < 0.45
    assert topics(tuple(q for q in every if q.topic != "nature")) == topics(every)[:3]
    assert topics(tuple(q for q in every if not q.measured)) == ()


def test_no_audit_asks_what_is_taught() -> None:
    sets = prompts()
    every = [q for kind in KINDS for q in questions(kind)]
    assert not {q.asks for q in every} & {fact.asks for fact in sets.facts}
    assert not {q.says for q in every} & {fact.says for fact in sets.facts}
    assert not {q.asks for q in questions("requests")} & {*sets.forbidden, *sets.harmless}
    actions = {word for pair in sets.actions for word in pair}
    assert not {w for q in questions("choices") for w in (q.right, q.wrong)} & actions
    assert not {*wordings().exams, *wordings().plain} & set(sets.systems.values())
