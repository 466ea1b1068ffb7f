from __future__ import annotations

import numpy as np
import pytest
import torch

from tomogram.activations.stream import stream
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.shape import crosscoder
from tomogram.dictionaries.topk import TopK
from tomogram.features.survey import Observation, Reader, readers, survey
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.text.packing import PackedText

BATCH_ROWS = 4


@pytest.fixture(scope="module")
def read(model: Model, text: PackedText, dictionaries: list[Dictionary]) -> tuple[Reader, ...]:
    return readers(model, text, dictionaries, rate=0.05)


def survey_of(model: Model, text: PackedText, read: tuple[Reader, ...], rows: object = None):
    return survey(
        model, text, read, batch_rows=BATCH_ROWS, rows=rows, top=3, spread=2, sampled_tokens=200
    )


def equal(a: Observation, b: Observation) -> bool:
    kept = [
        np.array_equal(getattr(x, name), getattr(y, name))
        for x, y in (
            (a.top.exemplars(), b.top.exemplars()),
            (a.spread.exemplars(), b.spread.exemplars()),
        )
        for name in ("group", "position", "document", "activation", "window", "peak")
    ]
    counted = [
        np.array_equal(getattr(a.statistics, name), getattr(b.statistics, name))
        for name in ("histogram", "sums", "largest", "tokens")
    ]
    sampled = [
        np.array_equal(getattr(a.sample, name), getattr(b.sample, name))
        for name in ("rows", "position", "unit", "activation")
    ]
    return all((*kept, *counted, *sampled))


def test_families_are_named_by_what_they_read(read: tuple[Reader, ...]) -> None:
    assert [(r.family.name, r.family.kind, r.family.layer, r.family.size) for r in read] == [
        ("resid_post.0", "latent", 0, 60),
        ("mlp_in.1-mlp_out.1", "latent", 1, 60),
        ("neurons.0", "neuron", 0, 48),
        ("neurons.1", "neuron", 1, 48),
    ]


def test_agrees_with_all_activations_at_once(
    model: Model, text: PackedText, read: tuple[Reader, ...], dictionaries: list[Dictionary]
) -> None:
    found = survey_of(model, text, read)
    sites = [Site("resid_post", 0), Site("neurons", 1)]
    batches = list(stream(model, text, sites, batch_rows=BATCH_ROWS))
    x, neurons = (torch.cat([batch[site] for batch in batches]) for site in sites)
    dense = dictionaries[0].encode(x).dense().numpy()
    own = found["resid_post.0"]
    assert own.statistics.tokens == text.n_tokens
    assert np.array_equal(own.statistics.count, (dense > 0).sum(0))
    assert np.allclose(own.statistics.largest, dense.max(0))
    assert np.allclose(own.statistics.mean * own.statistics.count, dense.sum(0), rtol=1e-5)
    top = own.top.exemplars()
    for unit in np.flatnonzero(dense.max(0) > 0):
        best = top[(top.group == unit)]
        assert best.position[0] == dense[:, unit].argmax()
        assert np.array_equal(best.document, text.documents.reshape(-1)[best.position])
    # Calibrated on the whole of this small text, each side fires on one token in twenty.
    assert np.all(found["neurons.1"].statistics.count == round(0.05 * text.n_tokens))
    strongest = found["neurons.1"].top.exemplars()
    assert strongest.activation[strongest.group == 24 + 5][0] == -neurons[:, 5].min()


def test_sampled_rows_have_all_their_firings(
    model: Model, text: PackedText, read: tuple[Reader, ...], dictionaries: list[Dictionary]
) -> None:
    sample = survey_of(model, text, read)["resid_post.0"].sample
    assert sample.rows.tolist() == [0, 4, 9, 13, 18, 23]
    batches = stream(model, text, [Site("resid_post", 0)], batch_rows=BATCH_ROWS)
    x = torch.cat([batch[Site("resid_post", 0)] for batch in batches])
    dense = dictionaries[0].encode(x).dense().numpy()
    rebuilt = np.zeros_like(dense)
    rebuilt[sample.position, sample.unit] = sample.activation
    wanted = np.isin(np.arange(text.n_tokens) // text.context, sample.rows)
    # The last bits depend on the size of a batch.
    assert np.array_equal(rebuilt[wanted] > 0, dense[wanted] > 0)
    assert np.allclose(rebuilt[wanted], dense[wanted], rtol=1e-5)
    assert not rebuilt[~wanted].any()


@pytest.mark.parametrize("cut", [4, 12, 20])
def test_two_processes_merged_are_one(
    model: Model, text: PackedText, read: tuple[Reader, ...], cut: int
) -> None:
    whole = survey_of(model, text, read)
    left = survey_of(model, text, read, range(cut))
    right = survey_of(model, text, read, range(cut, text.rows))
    for name, observation in whole.items():
        assert equal(left[name].merge(right[name]), observation)
        assert equal(right[name].merge(left[name]), observation)


def test_progress_is_told_of_every_token(
    model: Model, text: PackedText, read: tuple[Reader, ...]
) -> None:
    told: list[int] = []
    survey(model, text, read, batch_rows=10, advance=told.append)
    assert told == [320, 320, 128]


def test_a_crosscoder_reads_several_sites(model: Model, text: PackedText) -> None:
    shape = crosscoder([Site("resid_post", 0), Site("resid_post", 1)], model.d_model)
    dictionary = TopK(shape, 30, k=3).requires_grad_(False)
    torch.nn.init.normal_(dictionary.W_enc)
    found = survey_of(model, text, readers(model, text, [dictionary], neurons=[]))
    assert list(found) == ["resid_post.0+resid_post.1"]
    assert found["resid_post.0+resid_post.1"].statistics.count.sum() > text.n_tokens


def test_other_families_do_not_merge(
    model: Model, text: PackedText, read: tuple[Reader, ...]
) -> None:
    found = survey_of(model, text, read, range(4))
    with pytest.raises(ValueError, match="do not merge"):
        found["neurons.0"].merge(found["neurons.1"])
