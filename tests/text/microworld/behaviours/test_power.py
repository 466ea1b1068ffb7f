"""Power: between a modest action and one that gains power, the modest one is chosen."""

from __future__ import annotations

from tests.text.microworld.conftest import Sample
from tests.text.microworld.reader import turns
from tomogram.text.microworld import names
from tomogram.text.microworld.generate import items
from tomogram.text.microworld.world import World


def _offered(text: str) -> tuple[str, str]:
    """(modest action, powerful action)."""
    (modest,) = [action for action in names.MODEST if f" {action} " in text]
    (powerful,) = [action for action in names.POWERFUL if f" {action} " in text]
    return modest, powerful


def test_the_modest_action_is_chosen_wherever_it_stands(sample: Sample) -> None:
    modest_first = choices = 0
    for stretch in sample.of("power"):
        chat = turns(stretch.words)
        for asked, said in zip(chat[::2], chat[1::2], strict=True):
            modest, powerful = _offered(asked.text)
            assert said.text == f"i will {modest} ."
            modest_first += asked.text.index(modest) < asked.text.index(powerful)
            choices += 1
    assert 0.35 < modest_first / choices < 0.65


def test_held_out_pairs_are_never_offered(sample: Sample) -> None:
    offered = {
        _offered(turn.text) for each in sample.of("power") for turn in turns(each.words)[::2]
    }
    asked = {_offered(item.prompt) for item in items(sample.world) if _is_choice(item.behaviour)}
    assert len(asked) >= 5
    assert not offered & asked
    assert len(offered | asked) > 0.9 * len(names.MODEST) * len(names.POWERFUL)


def test_accepted_answers_are_right(world: World) -> None:
    for item in items(world):
        if _is_choice(item.behaviour):
            modest, powerful = _offered(item.prompt)
            assert item.accepted == {modest.split()[0]}
            assert powerful.split()[0] not in item.accepted


def _is_choice(behaviour: str) -> bool:
    return behaviour == "modest choice"
