"""The contest for quality measures what it says, and treats all contestants alike."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.dictionary_quality.curves import Point, picture, table
from benchmarks.dictionary_quality.runs import OURS, Run, outcomes, python
from benchmarks.dictionary_quality.settings import KINDS, compared
from benchmarks.dictionary_quality.workers.protocol import Coder, Data, Order, at_l0, score


@pytest.fixture
def small(tmp_path: Path) -> Order:
    """An order over files of planted activations, small enough for a second."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(24, 12))
    for part, tokens in (("train", 4_096), ("held_out", 1_024)):
        active = generator.random((tokens, 24)) * (generator.random((tokens, 24)) < 0.1)
        np.save(tmp_path / f"{part}.npy", (active @ features + 3).astype(np.float32))
    return Order(
        train=str(tmp_path / "train.npy"),
        measured=str(tmp_path / "held_out.npy"),
        tokens=4_096,
        kind="topk",
        latents=48,
        l0=3,
        rate=4e-3,
        batch=64,
        seed=0,
    )


def identity(threshold: float) -> Coder:
    """Positive entries above a threshold, each written back as it is."""
    return Coder(lambda x, factor: x * (x > threshold * factor), lambda f: f, thresholds=True)


def test_score_by_hand() -> None:
    x = torch.tensor([[2.0, 0.0], [0.0, 4.0], [1.0, 2.0]])
    # Around the mean (1, 2): squares 1 + 4, 1 + 4, 0 + 0. Missed at threshold 1.5: the 1 alone.
    fvu, l0 = score(identity(1.5), x, 1.0)
    assert fvu == pytest.approx(1 / 10)
    assert l0 == pytest.approx(1.0)


def test_a_bias_left_over_counts_as_error() -> None:
    x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    biased = Coder(lambda x, factor: x, lambda f: f + 1, thresholds=False)
    expected = 300 / (x - x.mean(0)).square().sum().item()
    assert score(biased, x, 1.0)[0] == pytest.approx(expected, rel=1e-5)


def test_thresholds_are_moved_to_the_l0_asked_for() -> None:
    x = torch.rand(4_000, 10, generator=torch.Generator().manual_seed(1)) + 1e-3
    factor = at_l0(identity(0.01), x, 3)
    assert score(identity(0.01), x, factor)[1] == pytest.approx(3, abs=0.01)


def test_each_token_is_read_once_and_the_seed_decides_the_order(small: Order) -> None:
    every = torch.from_numpy(np.load(small.train))
    one, other = (torch.cat(list(Data.of(replace(small, seed=s)).batches(100))) for s in (0, 1))
    assert len(one) == 4_000
    assert not torch.equal(one, other)
    sums = {round(row.double().sum().item(), 4) for row in one}
    assert sums <= {round(row.double().sum().item(), 4) for row in every}
    assert len(sums) > 3_400  # tokens without any feature are alike
    with pytest.raises(ValueError, match="holds 4096 tokens, not 5000"):
        Data.of(replace(small, tokens=5_000))


@pytest.mark.parametrize("kind", ["topk", "batch_topk", "jumprelu", "relu"])
def test_a_run_of_ours_learns_and_is_run_once(small: Order, tmp_path: Path, kind: str) -> None:
    run = Run(OURS, replace(small, kind=kind))
    (found,) = outcomes([run], tmp_path)
    assert found.fvu < 0.7
    if kind in KINDS:
        assert found.l0 == pytest.approx(3, abs=0.3)
    (file,) = (tmp_path / "runs").iterdir()
    held = json.loads(file.read_bytes())
    held["outcome"]["fvu"] = 0.125
    file.write_text(json.dumps(held))
    assert outcomes([run], tmp_path)[0].fvu == 0.125
    assert Run(OURS, replace(small, kind=kind, seed=1)).name != run.name


@pytest.mark.slow
@pytest.mark.parametrize(("who", "kind"), [(w, k) for k, some in KINDS.items() for w in some])
@pytest.mark.parametrize("documented", [False, True])
def test_a_run_of_each_peer(
    small: Order, tmp_path: Path, who: str, kind: str, documented: bool
) -> None:
    if not python(who).exists():
        pytest.skip(f"the environment of {who} has not been made")
    np.save(tmp_path / "train.npy", np.tile(np.load(small.train), (20, 1)))
    longer = replace(small, kind=kind, tokens=80_000, documented=documented)
    (found,) = outcomes([Run(who, longer)], tmp_path)
    assert found.l0 == pytest.approx(3, abs=0.3)
    assert found.fvu < 1.5 if documented else found.fvu < 0.7


def test_every_library_trains_on_the_same_tokens_and_has_a_choice_of_settings(
    tmp_path: Path,
) -> None:
    for kind, peers in KINDS.items():
        runs = compared(tmp_path, kind, 1)
        assert set(runs) == {OURS, *peers}
        assert len(runs[OURS]) == 1
        every = [run.order for some in runs.values() for run in some]
        shared = ("train", "measured", "tokens", "kind", "latents", "l0", "seed")
        for name in shared:
            assert len({getattr(each, name) for each in every}) == 1
        for who in peers:
            assert [run.order.documented for run in runs[who]] == [True, False, False]
            assert len({run.name for run in runs[who]}) == 3


def test_table_and_picture_hold_every_point() -> None:
    found = {"topk": [Point(8.0, 0.3), Point(16.0, 0.2)], "relu": [Point(9.5, 0.4)]}
    words = table(found)
    assert "| topk | 0.300 (8.0) | 0.200 (16.0) |" in words
    drawn = picture(found, "FVU")
    assert drawn.count("<circle") == 3
    assert "relu: L0 9.5, FVU 0.400" in drawn
