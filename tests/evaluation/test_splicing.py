"""What splices cost: against the definition, and for dictionaries known to be perfect or empty."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.activations.conftest import tiny_model, tiny_text
from tests.dictionaries.test_splice import identity
from tomogram.dictionaries.shape import autoencoder, crosscoder, transcoder
from tomogram.dictionaries.splice import Splice
from tomogram.dictionaries.topk import TopK
from tomogram.evaluation.records import Cost
from tomogram.evaluation.splicing import (
    families,
    predicting_rows,
    price,
    price_with_divergence,
    single,
)
from tomogram.models.load import wrap
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

RESID = [Site("resid_post", layer) for layer in range(3)]


@pytest.fixture(scope="module")
def text() -> PackedText:
    every = tiny_text(rows=24)
    return every.take(predicting_rows(every))


def priced(text: PackedText, *splices: Splice, model: Model | None = None) -> Cost:
    chosen = model or tiny_model()
    return price_with_divergence(chosen, text, {"own": splices}, batch_rows=5).costs["own"]


def halved(site: Site) -> Splice:
    return Splice(site, site, lambda x: x / 2)


def test_losses_and_divergences_are_those_of_the_definition(text):
    model, cost = tiny_model(), priced(text, halved(RESID[1]))
    tokens = torch.from_numpy(text.tokens.astype(np.int64))
    clean = model.run(tokens).logits.double().log_softmax(-1)
    changed = model.run(tokens, interventions={RESID[1]: lambda x: x / 2}).logits
    changed = changed.double().log_softmax(-1)
    rises, divergences = [], []
    for row in range(text.rows):
        inside = torch.from_numpy(text.documents[row, 1:] == text.documents[row, :-1])
        told = tokens[row, 1:, None]
        rise = clean[row, :-1].gather(1, told) - changed[row, :-1].gather(1, told)
        rises.append(rise[inside].mean().item())
        difference = clean[row, :-1] - changed[row, :-1]
        divergence = (clean[row, :-1].exp() * difference).sum(-1)
        divergences.append(divergence[inside].mean().item())
    assert cost.rise.value == pytest.approx(np.mean(rises), abs=1e-5)
    assert cost.kl.value == pytest.approx(np.mean(divergences), rel=1e-3, abs=1e-6)
    assert cost.kl.n == text.rows


def test_sets_priced_together_cost_what_they_cost_by_themselves(text):
    sets = {"one": [halved(RESID[1])], "two": [halved(RESID[0]), halved(RESID[2])]}
    both = price_with_divergence(tiny_model(), text, sets, batch_rows=5)
    for name, splices in sets.items():
        assert both.costs[name] == priced(text, *splices)


def test_the_loss_alone_is_the_same_figure(text):
    sets = {"one": [halved(RESID[1])], "two": [halved(RESID[0]), halved(RESID[2])]}
    alone = price(tiny_model(), text, sets, batch_rows=5)
    whole = price_with_divergence(tiny_model(), text, sets, batch_rows=5)
    assert alone.loss.value == pytest.approx(whole.loss.value, rel=1e-6)
    for name in sets:
        rise, recovered = alone.costs[name].rise, alone.costs[name].recovered
        assert rise.value == pytest.approx(whole.costs[name].rise.value, rel=1e-4)
        assert recovered.value == pytest.approx(whole.costs[name].recovered.value, rel=1e-4)


def test_a_perfect_dictionary_costs_nothing_alone_and_with_others(text):
    splices = [Splice.of(identity(autoencoder(site, 16))) for site in RESID]
    for some in ([splices[0]], splices):
        cost = priced(text, *some)
        assert cost.rise.value == pytest.approx(0, abs=1e-5)
        assert cost.kl.value == pytest.approx(0, abs=1e-5)
        assert cost.recovered.value == pytest.approx(1, abs=1e-2)
        assert cost.kl_recovered.value == pytest.approx(1, abs=1e-2)


def test_a_model_in_bfloat16_is_read_by_a_dictionary_in_float32(text):
    model = wrap(tiny_model().module.bfloat16(), name="low")
    cost = priced(text, Splice.of(identity(autoencoder(RESID[1], 16))), model=model)
    assert cost.rise.value == pytest.approx(0, abs=1e-3)


def test_an_empty_dictionary_recovers_nothing(text):
    cost = priced(text, Splice.of(TopK(autoencoder(RESID[2], 16), 4, k=1)))
    assert cost.recovered.value == cost.kl_recovered.value == 0
    assert cost.kl.value > 0


def test_only_one_site_each_way_is_spliced():
    one, other = TopK(autoencoder(RESID[0], 16), 4, k=1), TopK(transcoder(1, 16), 4, k=1)
    several = TopK(crosscoder(RESID[:2], 16), 4, k=1)
    assert [single(d) for d in (one, other, several)] == [True, True, False]
    assert families([one, several, other]) == {"residual": [one], "transcoders": [other]}


def test_a_text_that_predicts_nothing_is_refused():
    text = PackedText(np.array([[1, 2]]), np.array([[0, 1]]))
    with pytest.raises(TomogramError, match="No row of the text"):
        predicting_rows(text)
