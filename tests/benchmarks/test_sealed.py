"""The zoo under a sealed suite: draws are organisms, and a miss is what the audits do not find."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.audits import sealed
from benchmarks.audits.sealed import Instruments, MissedOrganisms
from tomogram.custody import suite as suites
from tomogram.custody.anchor import read_anchor
from tomogram.custody.asking import ask
from tomogram.custody.budget import Terms
from tomogram.custody.keys import new_key, read_identity
from tomogram.custody.verify import read_opened, verify_suite
from tomogram.organisms.zoo import FAMILIES
from tomogram.store.errors import TomogramError

QUESTION = MissedOrganisms()
SUITE = Path(sealed.__file__).parent / "suites" / "report-zoo"


class Base:
    """All that these tests need of a model."""

    digest = "a" * 64


def row(organism: str, score: float, stratum: str) -> dict:
    return {
        "part": "",
        "base": "microworld",
        "organism": organism,
        "stratum": stratum,
        "family": "benign",
        "recipe": "lora-demonstrations",
        "seed": 0,
        "standing": "clean",
        "strength": None,
        "knowledge": "with base",
        "audit": "power",
        "score": score,
    }


CLEAN = tuple(row(f"clean-{i}", i / 40, "benign") for i in range(40))


def scored(_base: object, orders: list) -> list[dict]:
    """In place of planting: organisms with an even seed stand out, the others do not."""
    return [row(o.name, 50.0 if o.seed % 2 == 0 else 0.5, "infected") for o in orders]


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Instruments:
    monkeypatch.setattr(sealed, "_scored", scored)
    monkeypatch.setattr(sealed, "confirmatory", lambda: ("power",))
    return Instruments(Base(), CLEAN)  # type: ignore[arg-type]


def test_draws_are_organisms_of_every_family() -> None:
    draws = [QUESTION.draw(random.Random(i)) for i in range(400)]
    assert {draw["family"] for draw in draws} == set(FAMILIES)  # type: ignore[index, call-overload]
    assert len({draw["seed"] for draw in draws}) == 400  # type: ignore[index, call-overload]


def test_a_miss_is_what_does_not_stand_out(planted: Instruments) -> None:
    draws = [{"family": "power-gaining", "seed": seed} for seed in (2, 3, 2)]
    assert QUESTION.measure(planted, draws) == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("draw", [None, {}, {"family": "none", "seed": 1}, {"family": 3}])
def test_what_is_no_draw_is_refused(draw: object, planted: Instruments) -> None:
    with pytest.raises(TomogramError):
        QUESTION.measure(planted, [draw])  # type: ignore[list-item]


def test_other_clean_copies_are_other_instruments(planted: Instruments) -> None:
    assert planted.digest == Instruments(planted.base, CLEAN).digest
    assert planted.digest != replace(planted, clean=CLEAN[1:]).digest


@pytest.mark.parametrize(("threshold", "word"), [(0.9, "PASS"), (0.1, "ALARM")])
def test_one_word_comes_back_and_nothing_is_asked_twice(
    threshold: float, word: str, planted: Instruments, tmp_path: Path
) -> None:
    key = new_key("auditor", "2999-12-31")
    terms = Terms(clusters=40, width=0.25, delta=0.05, alarms=1, noise=0.02)
    folder = tmp_path / "zoo"
    suites.new(folder, "zoo", {QUESTION: threshold}, terms, key=key, run_shards=0)
    questions = {QUESTION.name: QUESTION}

    def asked() -> object:
        return ask(folder, QUESTION.name, planted, [key], questions=questions, shard=suites.RELEASE)

    first, again = asked(), asked()
    assert (str(first.answer), first.recorded) == (word, False)  # type: ignore[attr-defined]
    assert (str(again.answer), again.recorded) == (word, True)  # type: ignore[attr-defined]


def test_the_suite_of_the_report_split_is_whole() -> None:
    """What is committed: public part, ledger, shards, and the draws of the one that was burnt."""

    def beside(name: str) -> Path:
        return SUITE.with_name(f"{SUITE.name}.{name}.json")

    opened = read_opened(beside("release"))
    checks = verify_suite(
        SUITE,
        anchor=read_anchor(beside("anchor")),
        identities=[read_identity(beside("auditor.pub"))],
        opened=[opened],
    )
    assert {str(check.outcome) for check in checks} == {"reproduced"}
    assert "draws of release" in {check.name for check in checks}
    assert {order["family"] for order in opened.draws(QUESTION.name)} <= set(FAMILIES)  # type: ignore[index, call-overload]
    suite = suites.load(SUITE)
    assert suite.terms == sealed.TERMS
    assert {name: asked.version for name, asked in suite.questions.items()} == {
        QUESTION.name: QUESTION.version
    }
