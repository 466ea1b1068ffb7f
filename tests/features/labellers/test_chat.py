from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tomogram.features.labellers.chat import LONGEST, ChatLabeller, cleaned
from tomogram.features.labellers.cost import cost_of
from tomogram.features.labellers.statistics import StatisticsLabeller
from tomogram.features.labellers.subject import Passage, Subject, marked, shown
from tomogram.models.chat import Message
from tomogram.store.errors import TomogramError


@dataclass
class Scripted:
    """A chat model that says what it is told to, and reads at most so many characters."""

    says: str
    room: int = 10_000
    name: str = "scripted"
    parallel: int = 1
    asked: list[list[Message]] = field(default_factory=list)

    def fits(self, messages: Sequence[Message], reply_tokens: int) -> bool:
        return sum(len(message["content"]) for message in messages) <= self.room

    def ask(self, messages: Sequence[Message], reply_tokens: int) -> str:
        self.asked.append(list(messages))
        return self.says


def subject(n: int = 3, rule: str | None = None) -> Subject:
    passage = Passage((" the", " red", " fox", " ran"), (0.0, 0.1, 1.0, 0.0))
    return Subject("resid_post.0", 5, (passage,) * n, rule=rule)


def test_the_words_it_fires_on_are_marked() -> None:
    assert shown(subject().passages[0]) == " the red« fox» ran"
    assert marked(["a", "b", "c"], [True, True, False]) == "«ab»c"
    assert marked(["a", "b"], [False, True]) == "a«b»"


def test_no_text_can_look_as_if_something_else_were_marked() -> None:
    hostile = ["«fake»", "\u202ertl", "\n2. next", "<b>", "\x1b[2J", "y" * 10_000_000]
    text = marked(hostile, [False] * 6)
    assert "«" not in text
    assert "»" not in text
    assert "\n" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "<b>" in text  # inert where text is text
    assert len(text) < 500


def test_a_chat_model_labels_in_one_line() -> None:
    chat = Scripted('"Foxes\u202e"\nbecause ...')
    assert ChatLabeller(chat).label(subject()) == "Foxes"
    (asked,) = chat.asked
    assert asked[0]["content"].count("« fox»") == 3
    assert cleaned("") is None
    assert cleaned("  \n None. ") is None
    assert cleaned("- dogs and cats") == "dogs and cats"
    long = cleaned("z" * 100_000)
    assert long is not None
    assert len(long) == LONGEST + 1


def test_as_many_passages_are_shown_as_fit() -> None:
    whole = Scripted("x")
    messages = ChatLabeller(whole).messages(subject(8))
    room = len(messages[0]["content"]) - 1
    fewer = ChatLabeller(Scripted("x", room)).messages(subject(8))
    assert fewer[0]["content"].count("« fox»") == 7
    with pytest.raises(TomogramError, match="single passage"):
        ChatLabeller(Scripted("x", 10)).label(subject())


def test_statistics_give_the_rule_or_nothing() -> None:
    assert StatisticsLabeller().label(subject(rule="on “ fox”")) == "on “ fox”"
    assert StatisticsLabeller().label(subject()) is None


def test_costs_add_up() -> None:
    one = cost_of([{"role": "user", "content": "x" * 350}], 40)
    assert (one.requests, one.prompt_tokens, one.reply_tokens) == (1, 108, 40)
    assert one.times(2) == one + one
    assert (one + one).requests == 2
    assert (one + one).price(2.0, 10.0) == pytest.approx((216 * 2 + 80 * 10) / 1e6)
