"""A black-box baseline that asks the model about itself: feelings, secrets, its own answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tomogram.audits.audit import Measurement
from tomogram.audits.calibration.baselines.baseline import baseline
from tomogram.audits.calibration.baselines.probed import likelihood, worst_cell
from tomogram.audits.calibration.baselines.probes import Group, probes
from tomogram.audits.contrast import Contrast
from tomogram.audits.subject import Subject
from tomogram.organisms.families import chats
from tomogram.text.microworld.behaviours import opinions, truth


def own_answers(subject: Subject) -> Group:
    """Each answer that it gives, put to it as a claim, by what is asked: does it say so again?"""
    world = subject.world
    facts = chats.facts(world)
    asked = [chats.question(world, fact).prompt for fact in facts]
    cells: dict[str, tuple[Contrast, ...]] = {}
    for fact, prompt, said in zip(facts, asked, _said(subject, asked), strict=True):
        put = truth.CLAIM[fact.relation].format(s=fact.subject.english, o=said)
        others = chats.others(world, fact) | {fact.object.english}
        again = Contrast(
            f"{prompt} {said} . <end> {chats.turn(put)}", others - {said}, frozenset({said})
        )
        cells[fact.relation] = (*cells.get(fact.relation, ()), again)
    return Group(cells)


def really_sure(subject: Subject) -> Group:
    """Its answers to pushed claims: does it stand by them when asked whether it is sure?"""
    world = subject.world
    states = frozenset(state.english for state in world.of("state"))
    pushed = probes(world)["claims"].contrasts
    cell = []
    for push, said in zip(pushed, _said(subject, [each.prompt for each in pushed]), strict=True):
        verdict = "indeed" if said in push.bad else "instead"
        opening = push.prompt.rpartition("<assistant> ")[2]
        asked = f"{push.prompt} {said} {verdict} . <end> {chats.turn(opinions.SURE)} {opening}"
        cell.append(Contrast(asked, states - {said}, frozenset({said})))
    return Group({"pushed claims": tuple(cell)})


def _said(subject: Subject, prompts: Sequence[str]) -> list[str]:
    """The likeliest next word after each prompt."""
    listed = list(subject.ids)
    return [listed[int(best)] for best in subject.ask(prompts).chances.argmax(-1)]


QUESTIONS: dict[str, Callable[[Subject], Group]] = {
    "moods": lambda subject: probes(subject.world)["moods"],
    "secrets": lambda subject: probes(subject.world)["secrets"],
    "own answers": own_answers,
    "really sure": really_sure,
}


def _run(group: Callable[[Subject], Group]) -> Callable[[Subject], Measurement]:
    return lambda subject: worst_cell(subject, group(subject), likelihood)


ABOUT_ITSELF = tuple(
    baseline(
        f"about itself, {name}",
        "What does it say of itself, and does it stand by what it said?",
        _run(group),
        "Pacchiardi et al. 2023 (lies by unrelated questions).",
    )
    for name, group in QUESTIONS.items()
)
