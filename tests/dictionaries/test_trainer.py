"""Training many dictionaries: what they learn, and that it can be interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.dictionaries.planted import SITE, Planted
from tomogram.dictionaries import normalisation, quality
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.schedule import Schedule
from tomogram.dictionaries.shape import autoencoder, crosscoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.dictionaries.trainee import Trainee
from tomogram.dictionaries.trainer import Settings, train
from tomogram.evaluation.recovery import matched_cosines
from tomogram.store.errors import TomogramError

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = Settings(Schedule(0.01), dead_after=5_000, measured_tokens=2048)


def two_dictionaries() -> list[Dictionary]:
    return [
        TopK(autoencoder(SITE, 24), 96, k=3),
        TopK(transcoder(0, 24), 96, k=3),
    ]


def _assert_same(one: list[Dictionary], other: list[Dictionary]) -> None:
    for a, b in zip(one, other, strict=True):
        for (name, p), (_, q) in zip(a.named_parameters(), b.named_parameters(), strict=True):
            assert torch.equal(p, q), f"{a.name}.{name}"


def test_planted_features_are_recovered_in_the_units_of_the_raw_activations():
    source = Planted()
    autoencoding, transcoding = train(two_dictionaries(), source, 600, SETTINGS)
    for dictionary, truth in ((autoencoding, 0), (transcoding, 1)):
        found = matched_cosines(dictionary.W_dec, source.directions(truth))
        assert (found > 0.95).float().mean() >= 0.95, dictionary.name
        batch = source.batch(10_000)
        x, y = batch[dictionary.read], batch[dictionary.write]
        reconstruction, sparsity = quality.measure(dictionary, x, y)
        assert reconstruction.fvu < 0.1, dictionary.name
        assert sparsity.l0 <= 3
        assert torch.allclose(dictionary.W_dec.norm(dim=1), torch.ones(96), atol=1e-4)


def test_a_crosscoder_reads_and_writes_its_sites_side_by_side():
    source = Planted()
    sites = [SITE, two_dictionaries()[1].write]
    (dictionary,) = train([TopK(crosscoder(sites, 24), 64, k=3)], source, 300, SETTINGS)
    batch = source.batch(10_000)
    x = torch.cat([batch[site] for site in sites], dim=1)
    assert quality.measure(dictionary, x, x)[0].fvu < 0.3


def test_dead_latents_are_revived():
    source = Planted()
    x = source.batch(0)[SITE]

    def alive(dead_after: int) -> int:
        trainee = Trainee(TopK(autoencoder(SITE, 24), 64, k=3), *[normalisation.measure(x)] * 2)
        trainee.start(x, x, torch.Generator().manual_seed(0))
        trainee.dictionary.b_enc.data[16:] = -5.0
        for number in range(300):
            batch = source.batch(number)[SITE]
            trainee.learn(batch, batch, rate=0.01, dead_after=dead_after)
        return 64 - quality.measure(trainee.finished(), x, x)[1].dead

    assert alive(dead_after=10**9) <= 32
    assert alive(dead_after=2_000) >= 40


def test_one_run_and_two_runs_with_a_kill_between_give_the_same_bits(tmp_path):
    script = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
import torch
torch.set_num_threads({torch.get_num_threads()})
from tests.dictionaries.planted import Fatal
from tests.dictionaries.test_trainer import SETTINGS, two_dictionaries
from tomogram.dictionaries.trainer import train
train(two_dictionaries(), Fatal(killed_at=73), 120, SETTINGS, folder=Path({str(tmp_path)!r}),
      checkpoint_every=20)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    resumed = train(
        two_dictionaries(), Planted(), 120, SETTINGS, folder=tmp_path, checkpoint_every=20
    )
    _assert_same(resumed, train(two_dictionaries(), Planted(), 120, SETTINGS))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(120))
    assert set(lines[-1]) == {"step", "rate", "loss", "fvu", "l0", "dead"}
    assert set(lines[-1]["fvu"]) == {"resid_post.0", "mlp_in.0-mlp_out.0"}
    assert lines[-1]["fvu"]["resid_post.0"] < lines[0]["fvu"]["resid_post.0"]


def test_a_resumed_run_starts_at_the_checkpoint_and_a_finished_one_is_not_trained_again(tmp_path):
    @dataclass(frozen=True)
    class Counting(Planted):
        asked: tuple = ()

        def batches(self, start=0):
            starts.append(start)
            return super().batches(start)

    starts: list[int] = []
    first = train(two_dictionaries(), Counting(), 40, SETTINGS, folder=tmp_path)
    starts.clear()
    again = train(two_dictionaries(), Counting(), 40, SETTINGS, folder=tmp_path)
    assert starts == [40]
    _assert_same(first, again)


def test_a_checkpoint_of_other_settings_is_not_taken_up(tmp_path):
    train(two_dictionaries(), Planted(), 20, SETTINGS, folder=tmp_path)
    other = Settings(Schedule(0.002), measured_tokens=2048)
    resumed = train(two_dictionaries(), Planted(), 20, other, folder=tmp_path)
    _assert_same(resumed, train(two_dictionaries(), Planted(), 20, other))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_with_a_sentence_and_a_usable_checkpoint(tmp_path, value):
    class Broken(Planted):
        def batch(self, number):
            batch = super().batch(number)
            if number == 30:
                batch[SITE][5, 5] = value
            return batch

    with pytest.raises(TomogramError, match=r"resid_post\.0 stopped at step 30: its loss is not"):
        train(two_dictionaries(), Broken(), 60, SETTINGS, folder=tmp_path, checkpoint_every=10)
    repaired = train(two_dictionaries(), Planted(), 60, SETTINGS, folder=tmp_path)
    _assert_same(repaired, train(two_dictionaries(), Planted(), 60, SETTINGS))


def test_a_loss_that_grows_stops_with_a_sentence():
    # The activations grow beyond what the normalisation was measured on.
    class Growing(Planted):
        def batch(self, number):
            return {site: x + 50.0 * number for site, x in super().batch(number).items()}

    with pytest.raises(TomogramError, match="has grown to an FVU of"):
        train(two_dictionaries(), Growing(), 400, Settings(Schedule(1e-5)))


def test_a_loss_that_grows_leaves_the_last_checkpoint(tmp_path):
    class Growing(Planted):
        def batch(self, number):
            grown = max(0, number - 25) * 50.0
            return {site: x + grown for site, x in super().batch(number).items()}

    with pytest.raises(TomogramError, match="The last checkpoint stands"):
        train(two_dictionaries(), Growing(), 60, SETTINGS, folder=tmp_path, checkpoint_every=25)
    repaired = train(two_dictionaries(), Planted(), 60, SETTINGS, folder=tmp_path)
    _assert_same(repaired, train(two_dictionaries(), Planted(), 60, SETTINGS))


def test_a_disk_that_fills_stops_with_a_sentence_and_the_last_checkpoint(tmp_path):
    script = f"""
import resource, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
import torch
torch.set_num_threads({torch.get_num_threads()})
from tests.dictionaries.planted import Planted
from tests.dictionaries.test_trainer import SETTINGS, two_dictionaries
from tomogram.dictionaries.trainer import train
from tomogram.store.errors import TomogramError
# Room for the weights, and none for the optimiser's state as well.
resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, 80_000))
try:
    train(two_dictionaries(), Planted(), 60, SETTINGS, folder=Path({str(tmp_path)!r}),
          checkpoint_every=20)
except TomogramError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "checkpoint.safetensors cannot be written" in run.stdout
    assert [path.name for path in tmp_path.glob(".*")] == []
    resumed = train(two_dictionaries(), Planted(), 60, SETTINGS, folder=tmp_path)
    _assert_same(resumed, train(two_dictionaries(), Planted(), 60, SETTINGS))


def test_a_damaged_checkpoint_is_refused(tmp_path):
    train(two_dictionaries(), Planted(), 5, SETTINGS, folder=tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TomogramError, match="is damaged"):
        train(two_dictionaries(), Planted(), 5, SETTINGS, folder=tmp_path)


def test_two_dictionaries_that_are_alike_are_refused():
    twins = [TopK(autoencoder(SITE, 24), 64, k=3) for _ in range(2)]
    with pytest.raises(TomogramError, match="alike"):
        train(twins, Planted(), 5, SETTINGS)


def test_several_at_one_place_go_on_from_a_checkpoint(tmp_path):
    def several():
        return [TopK(autoencoder(SITE, 24), latents, k=3) for latents in (64, 32)]

    train(several(), Planted(), 8, SETTINGS, folder=tmp_path, checkpoint_every=4)
    # Without its last steps the checkpoint of step 8 is what a second call takes up.
    again = train(several(), Planted(), 8, SETTINGS, folder=tmp_path, checkpoint_every=4)
    whole = train(several(), Planted(), 8, SETTINGS)
    for one, other in zip(again, whole, strict=True):
        assert torch.equal(one.W_dec, other.W_dec)


def test_the_schedule_rises_stays_and_falls():
    schedule = Schedule(2.0, warmup=0.1, decay=0.5)
    rates = [schedule.rate(step, 100) for step in range(100)]
    assert rates[:3] == pytest.approx([0.2, 0.4, 0.6])
    assert rates[10:50] == [2.0] * 40
    assert rates[75] == pytest.approx(1.0)
    assert min(rates) > 0
    with pytest.raises(TomogramError):
        Schedule(0.0)
    with pytest.raises(TomogramError):
        Schedule(1.0, warmup=1.5)
