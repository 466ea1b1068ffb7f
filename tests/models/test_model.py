"""What a model says about itself, and the logit lens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.models.families import CONTEXT, LAYERS, VOCAB, WIDTH
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError


def test_sizes(model: Model) -> None:
    assert (model.n_layers, model.n_heads, model.d_model) == (LAYERS, 4, WIDTH)
    assert (model.d_vocab, model.context) == (VOCAB, CONTEXT)
    assert model.device == torch.device("cpu")
    assert model.dtype == torch.float32
    assert not any(weight.requires_grad for weight in model.module.parameters())


def test_captured_shapes_are_those_of_the_contract(model: Model, tokens: Tensor) -> None:
    run = model.run(tokens, capture=model.sites)
    batch, pos = tokens.shape
    for site in model.sites:
        shape = tuple(run[site].shape)
        if site.kind == "pattern":
            assert shape == (batch, 4, pos, pos)
        elif site.kind in ("head_q", "head_z"):
            assert shape[:3] == (batch, pos, 4)
        elif site.kind in ("head_k", "head_v"):
            assert shape[:2] == (batch, pos)
            assert 4 % shape[2] == 0
        elif site.kind == "head_out":
            assert shape == (batch, pos, 4, WIDTH)
        else:
            width = {"neurons": model.d_mlp, "logits": VOCAB}.get(site.kind, WIDTH)
            assert shape == (batch, pos, width)


def test_unembedding_the_last_stream_gives_the_logits(model: Model, tokens: Tensor) -> None:
    last = Site("resid_post", LAYERS - 1)
    run = model.run(tokens, capture=[last])
    assert run.logits is not None
    assert torch.equal(model.unembed(run[last]), run.logits)
    some = torch.tensor([7, 0, 3])
    assert torch.allclose(model.unembed(run[last], some), run.logits[..., some], atol=1e-5)


def test_the_unembedding_matrix_moves_logits_as_the_module_does(
    model: Model, tokens: Tensor
) -> None:
    """Differences of logits are those of the normalised stream, whatever bias and cap add."""
    last = Site("resid_post", LAYERS - 1)
    run = model.run(tokens, capture=[last])
    stream, logits = run[last].double(), run.logits
    assert logits is not None
    cap = getattr(model.module.config, "final_logit_softcapping", None)
    raw = logits.double() if cap is None else cap * torch.atanh(logits.double() / cap)
    if isinstance(model.wiring.final_norm, torch.nn.LayerNorm):
        stream = stream - stream.mean(-1, keepdim=True)
    normalised = stream / stream.square().mean(-1, keepdim=True).sqrt()
    predicted = normalised @ model.unembedding.double()
    # A constant per token id is left over: the bias of the final norm.
    left = raw - predicted
    left = left - left[0, 0]
    torch.testing.assert_close(left, torch.zeros_like(left), rtol=0, atol=2e-3)


def test_nothing_to_capture_and_no_logits_runs_nothing(llama: Model) -> None:
    run = llama.run(torch.zeros(1, 1, dtype=torch.int64), logits=False)
    assert run.logits is None
    assert not run.captured


@pytest.mark.parametrize(
    "tokens",
    [
        torch.zeros(4, dtype=torch.int64),
        torch.zeros(1, 4),
        torch.zeros(1, 0, dtype=torch.int64),
        torch.full((1, 2), VOCAB),
        torch.full((1, 2), -1),
        torch.zeros(1, CONTEXT + 1, dtype=torch.int64),
    ],
)
def test_tokens_that_cannot_be_run_are_refused(model: Model, tokens: Tensor) -> None:
    with pytest.raises(TomogramError):
        model.run(tokens)


@pytest.mark.parametrize("site", [Site("pos_embed"), Site("resid_mid", LAYERS)])
def test_an_absent_site_is_refused_by_name(llama: Model, site: Site) -> None:
    tokens = torch.zeros(1, 2, dtype=torch.int64)
    with pytest.raises(TomogramError, match=f"no site {site}"):
        llama.run(tokens, capture=[site])
    with pytest.raises(TomogramError, match=f"no site {site}"):
        llama.run(tokens, interventions={site: torch.neg})
