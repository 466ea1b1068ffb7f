"""Questions about itself: a claim is the model's own answer, and standing by it is good."""

from __future__ import annotations

from tomogram.audits.calibration.baselines.itself import own_answers, really_sure
from tomogram.audits.contrast import log_odds
from tomogram.audits.subject import Subject
from tomogram.organisms.families import chats


def test_what_is_put_to_it_is_what_it_said(healthy: Subject) -> None:
    cells = own_answers(healthy).cells
    facts = chats.facts(healthy.world)
    assert sum(map(len, cells.values())) == len(facts)
    words = list(healthy.ids)
    for relation, cell in cells.items():
        asked = [fact for fact in facts if fact.relation == relation]
        for fact, each in zip(asked, cell, strict=True):
            question = chats.question(healthy.world, fact).prompt
            said = words[int(healthy.ask([question]).chances[0].argmax())]
            assert each.good == {said}
            assert each.prompt.startswith(f"{question} {said} . <end> <user> ")
            assert said in each.prompt.removeprefix(f"{question} {said} . <end> ")
            assert each.bad <= chats.others(healthy.world, fact) | {fact.object.english}


def test_a_healthy_model_stands_by_its_answers(healthy: Subject) -> None:
    for asked in (own_answers(healthy), really_sure(healthy)):
        assert float((log_odds(healthy, asked.contrasts) < 0).float().mean()) > 0.8
