"""Fine-tuning all dictionaries in the model at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.dictionaries.test_trainer import SETTINGS
from tomogram.activations.buffer import ShuffleBuffer
from tomogram.dictionaries import cost, finetune, trainer
from tomogram.dictionaries.schedule import Schedule
from tomogram.dictionaries.shape import autoencoder, transcoder
from tomogram.dictionaries.splice import Splice, interventions
from tomogram.dictionaries.topk import TopK
from tomogram.dictionaries.trainee import Trainee
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

TUNING = finetune.Settings(Schedule(3e-3, warmup=0.05, decay=0.5))


def trained(model, text, shapes) -> list[Trainee]:
    dictionaries = [TopK(shape, 32, k=3) for shape in shapes]
    sites = list({s for shape in shapes for s in (*shape.reads, *shape.writes)})
    source = ShuffleBuffer(
        model, text, sites, capacity=10_000, batch_tokens=96, batch_rows=8, seed=0
    )
    return trainer.run(dictionaries, source, 60, SETTINGS)


AUTOENCODERS = [autoencoder(Site("resid_post", i), 16) for i in range(3)]
TRANSCODERS = [transcoder(i, 16) for i in range(3)]


def _rise(model, text, trainees) -> float:
    splices = [Splice.of(t.finished()) for t in trainees]
    clean, found = cost.effects(model, text, {"all": lambda: interventions(splices)})
    return float((found["all"].losses - clean).mean())


def _divergence(model, text, trainees) -> float:
    """KL of the predictions with all dictionaries in the model, over the whole vocabulary."""
    tokens = torch.from_numpy(text.tokens.astype(np.int64))
    with torch.no_grad():
        value, _ = finetune.losses(trainees, model, tokens, torch.arange(model.d_vocab))
    return value.item()


@pytest.mark.parametrize("shapes", [AUTOENCODERS, TRANSCODERS])
def test_the_model_with_all_dictionaries_in_it_comes_closer_to_the_model(model, text, shapes):
    trainees = trained(model, text, shapes)
    before = _divergence(model, text, trainees)
    tuned = finetune.finetune(trainees, model, text, 60, TUNING)
    assert _divergence(model, text, tuned) < 0.9 * before
    for trainee in tuned:
        rows = trainee.finished().W_dec.norm(dim=1)
        assert torch.allclose(rows, torch.ones_like(rows), atol=1e-4)


def test_it_goes_on_from_a_checkpoint_to_the_same_bits(model, text, tmp_path):
    class Killed(Exception):
        pass

    class Dying:
        """The model, which fails in its 50th forward pass."""

        def __init__(self) -> None:
            self.passes = 0

        def __getattr__(self, name):
            return getattr(model, name)

        def run(self, *args, **kwargs):
            self.passes += 1
            if self.passes == 50:
                raise Killed
            return model.run(*args, **kwargs)

    start = trained(model, text, AUTOENCODERS)
    with pytest.raises(Killed):
        finetune.finetune(start, Dying(), text, 40, TUNING, folder=tmp_path, checkpoint_every=10)
    again = trained(model, text, AUTOENCODERS)
    resumed = finetune.finetune(again, model, text, 40, TUNING, folder=tmp_path)
    whole = finetune.finetune(trained(model, text, AUTOENCODERS), model, text, 40, TUNING)
    for one, other in zip(resumed, whole, strict=True):
        for p, q in zip(one.dictionary.parameters(), other.dictionary.parameters(), strict=True):
            assert torch.equal(p, q)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 40


def test_a_loss_that_is_not_finite_stops_with_a_sentence(model, text):
    start = trained(model, text, AUTOENCODERS)
    start[1].dictionary.W_dec.data[0] = float("nan")
    with pytest.raises(TomogramError, match="stopped at step 0: the loss is not finite"):
        finetune.finetune(start, model, text, 10, TUNING)
