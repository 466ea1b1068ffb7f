"""The scan's own circuits, on the shipped model: what is traced, what is kept, how it resumes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tomogram.circuits.graph.export import read_graph
from tomogram.models.load import load
from tomogram.pipeline.plan import plan_named
from tomogram.pipeline.session import Session
from tomogram.pipeline.stages import circuits
from tomogram.pipeline.stages.text import Texts
from tomogram.reference.shipped import path, world_of
from tomogram.text.microworld.generate import generate


@pytest.fixture(scope="module")
def texts() -> Texts:
    world = world_of(load(path()))
    assert world is not None
    train, held_out = (generate(world, seed, 4_000, 256).text for seed in (11, 12))
    return Texts(train, held_out)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(circuits, "TRIED", 2)
    return Session(load(path()), plan_named("quick"), tmp_path, 0, None)


def test_predictions_are_sure_and_each_of_another_token(session: Session, texts: Texts) -> None:
    found = circuits.predictions(session, texts)
    assert len({each.token for each in found}) == len(found) == 2
    rows = [row.tolist() for row in texts.held_out.tokens]
    for each in found:
        n = len(each.prompt)
        assert circuits.SHORTEST <= n <= circuits.LONGEST
        assert any(
            tuple(row[i : i + n]) == each.prompt for row in rows for i in range(len(row) - n + 1)
        )
        logits = session.model.run(torch.tensor([each.prompt])).logits
        assert logits is not None
        assert int(logits[0, -1].argmax()) == each.token


def test_the_best_verified_are_kept_and_an_interrupted_stage_goes_on(
    session: Session, texts: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    traced = circuits._traced

    def once(*arguments):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return traced(*arguments)

    monkeypatch.setattr(circuits, "_traced", once)
    with pytest.raises(KeyboardInterrupt):
        circuits.run(session, texts, [], "none")
    found = circuits.run(session, texts, [], "none")
    # The first graph was not drawn again.
    assert calls == 3
    assert found.tried == 2
    assert found.shown
    worth = [each.passed for each in found.shown]
    assert worth == sorted(worth, reverse=True)
    assert found.passed >= sum(worth)
    for each in found.shown:
        graph, scored = read_graph(session.folder / each.file)
        assert graph.proof is not None
        assert graph.proof.passed == each.passed
        assert graph.proof.total_live is not None
        assert graph.proof.total_live.spearman == each.total
        assert scored.completeness == each.completeness
        assert each.frozen.value >= 0.999
    assert circuits.run(session, texts, [], "none") == found
    assert calls == 3
