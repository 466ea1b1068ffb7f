"""Capture and interventions are exact, for every family and every site."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.models.conftest import tiny
from tests.models.families import CONFIGS, build
from tomogram.models.capture import Tape, hooked
from tomogram.models.load import load, wrap
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError


def _untouched(model: Model) -> bool:
    """No hook, no renamed kernel and no wrapped method is left on the module."""
    hooks = [
        hook
        for part in model.module.modules()
        for hook in (*part._forward_hooks.values(), *part._forward_pre_hooks.values())
    ]
    wrapped = any("_attn" in part.__dict__ for part in model.module.modules())
    renamed = model.module.config._attn_implementation not in ("sdpa", "eager")
    return not (hooks or wrapped or renamed)


def _tilted(value: Tensor) -> Tensor:
    """A change that no norm removes."""
    return value * 0.5 + torch.linspace(-1, 1, value.shape[-1])


def test_capturing_everything_leaves_the_logits_bit_equal(model: Model, tokens: Tensor) -> None:
    plain = model.module(tokens).logits
    run = model.run(tokens, capture=model.sites)
    assert run.logits is not None
    assert torch.equal(run.logits, plain)
    assert torch.equal(run[Site("logits")], plain)
    assert set(run.captured) == set(model.sites)
    assert _untouched(model)


@pytest.mark.parametrize("family", ["gpt2", "gpt-neo", "llama", "gemma2", "olmo2", "mixtral"])
def test_bfloat16_is_just_as_exact(family: str, tokens: Tensor) -> None:
    model = wrap(build(CONFIGS[family]()).bfloat16(), name=family)
    run = model.run(tokens, capture=model.sites)
    assert torch.equal(run[Site("logits")], model.module(tokens).logits)
    for site in model.sites:
        assert run[site].dtype == torch.bfloat16
        again = model.run(tokens, interventions={site: _returns(run[site])}).logits
        assert torch.equal(again, run[Site("logits")]), site


def test_writing_back_what_was_captured_changes_nothing(model: Model, tokens: Tensor) -> None:
    run = model.run(tokens, capture=model.sites)
    for site in model.sites:
        # In another memory layout, which must not matter either.
        value = run[site].transpose(0, -1).contiguous().transpose(0, -1)
        again = model.run(tokens, interventions={site: _returns(value)}).logits
        assert torch.equal(again, run[Site("logits")]), site
    everything = {site: _returns(run[site]) for site in model.sites}
    assert torch.equal(model.run(tokens, interventions=everything).logits, run[Site("logits")])


def test_every_intervention_reaches_the_logits(model: Model, tokens: Tensor) -> None:
    plain = model.module(tokens).logits
    for site in model.sites:
        changed = model.run(tokens, interventions={site: _tilted}).logits
        assert (changed - plain).abs().max() > 1e-3, site


def test_what_is_captured_is_what_the_model_went_on_with(model: Model, tokens: Tensor) -> None:
    plain = model.run(tokens, capture=model.sites)
    for site in model.sites:
        run = model.run(tokens, capture=[site], interventions={site: _tilted})
        assert torch.equal(run[site], _tilted(plain[site])), site


def test_a_changed_stream_reaches_both_of_its_readers(model: Model, tokens: Tensor) -> None:
    """resid_post is exactly the new resid_mid plus what the MLP makes of it."""
    sites = [Site(kind, 1) for kind in ("resid_mid", "mlp_out", "resid_post", "mlp_in")]
    if sites[0] not in model.sites:
        pytest.skip("a parallel block has no stream between attention and MLP")
    new = torch.randn(*tokens.shape, model.d_model)
    run = model.run(tokens, capture=sites, interventions={sites[0]: _returns(new)})
    block = model.wiring.blocks[1]
    norm = block.mlp_norm or torch.nn.Identity()
    assert torch.equal(run[sites[0]], new)
    torch.testing.assert_close(run[sites[3]], norm(new))
    torch.testing.assert_close(run[sites[2]], new + run[sites[1]])


def test_changing_only_what_the_mlp_reads_leaves_the_stream(model: Model, tokens: Tensor) -> None:
    mid, read = Site("resid_mid", 1), Site("mlp_in", 1)
    if mid not in model.sites:
        pytest.skip("a parallel block has no stream between attention and MLP")
    plain = model.run(tokens, capture=[mid])
    changed = model.run(tokens, capture=[mid], interventions={read: _tilted})
    assert torch.equal(plain[mid], changed[mid])


def test_a_head_removed_is_its_rows_of_the_output_projection_removed(tokens: Tensor) -> None:
    for family in ("gpt2", "llama", "opt"):
        model = tiny(family)
        width = model.wiring.blocks[1].heads_to_stream.weight.shape

        def without_head_2(value: Tensor) -> Tensor:
            value[:, :, 2] = 0
            return value

        removed = model.run(tokens, interventions={Site("head_out", 1): without_head_2}).logits
        cut = wrap(build(CONFIGS[family]()), name="cut")
        weight = cut.wiring.blocks[1].heads_to_stream.weight
        by_head = weight if family == "gpt2" else weight.T
        size = max(width) // 4
        with torch.no_grad():
            by_head[2 * size : 3 * size] = 0
        torch.testing.assert_close(removed, cut.run(tokens).logits, rtol=1e-4, atol=1e-5)


def test_a_pattern_written_by_hand_moves_exactly_the_values_it_says(
    model: Model, tokens: Tensor
) -> None:
    """Every position attends to the first token alone, so z is the first token's value."""

    def to_the_first(pattern: Tensor) -> Tensor:
        pattern.zero_()
        pattern[..., 0] = 1
        return pattern

    z, v = Site("head_z", 1), Site("head_v", 1)
    run = model.run(tokens, capture=[z, v], interventions={Site("pattern", 1): to_the_first})
    first = run[v][:, :1].repeat_interleave(model.n_heads // run[v].shape[2], dim=2)
    torch.testing.assert_close(run[z], first.expand_as(run[z]), rtol=1e-4, atol=1e-5)


def test_patterns_are_causal_distributions(model: Model, tokens: Tensor) -> None:
    for layer in range(model.n_layers):
        site = Site("pattern", layer)
        pattern = model.run(tokens, capture=[site], logits=False)[site]
        assert pattern.shape == (3, model.n_heads, 20, 20)
        assert (pattern >= 0).all()
        assert (pattern.triu(1) == 0).all()
        torch.testing.assert_close(pattern.sum(-1), torch.ones(3, model.n_heads, 20))


def test_stopping_early_gives_the_same_values_and_runs_nothing_later(
    model: Model, tokens: Tensor
) -> None:
    sites = [site for site in model.sites if site.layer in (0, 1)]
    full = model.run(tokens, capture=sites)
    reached = []
    handle = model.wiring.blocks[2].module.register_forward_pre_hook(lambda *_: reached.append(1))
    early = model.run(tokens, capture=sites, logits=False)
    handle.remove()
    assert early.logits is None
    assert not reached
    assert all(torch.equal(early[site], full[site]) for site in sites)
    assert _untouched(model)


@pytest.mark.parametrize("kind", ["resid_mid", "head_out", "pattern", "head_q", "resid_post"])
def test_gradients_through_an_intervention_agree_with_finite_differences(
    model: Model, tokens: Tensor, kind: str
) -> None:
    site, few = Site(kind, 1), tokens[:1, :6]
    if site not in model.sites:
        pytest.skip("a parallel block has no stream between attention and MLP")
    shape = model.run(few, capture=[site])[site].shape
    generator = torch.Generator().manual_seed(0)

    def score(step: Tensor, along: Tensor) -> Tensor:
        run = model.run(few, interventions={site: lambda old: old + step * along})
        assert run.logits is not None
        return run.logits[0, -1, 5].double()

    errors = []
    for _ in range(5):
        along = torch.randn(shape, generator=generator)
        size, near = torch.zeros((), requires_grad=True), torch.tensor(2e-3)
        (slope,) = torch.autograd.grad(score(size, along), size)
        with torch.no_grad():
            measured = (score(near, along) - score(-near, along)) / (2 * near.double())
        errors.append(float((slope - measured).abs() / (measured.abs() + 0.1)))
    # The median, because a step may cross a kink (ReLU, the choice of an expert).
    assert sorted(errors)[2] < 0.02


def test_a_captured_value_can_be_differentiated_from_the_embedding(llama: Model) -> None:
    tokens = torch.arange(8)[None]
    start = llama.run(tokens, capture=[Site("embed")])[Site("embed")].clone().requires_grad_()
    target = Site("resid_post", 1)
    run = llama.run(tokens, capture=[target], interventions={Site("embed"): _returns(start)})
    (gradient,) = torch.autograd.grad(run[target][0, 3].sum(), start)
    assert (gradient[0, :4] != 0).any(-1).all()
    # What comes later in the text cannot have mattered.
    assert (gradient[0, 4:] == 0).all()
    with torch.no_grad():
        assert not llama.run(tokens, capture=[target])[target].requires_grad


@pytest.mark.parametrize("kind", ["pattern", "head_out", "head_z", "resid_mid"])
def test_gradients_by_a_captured_value_are_those_of_what_it_adds(
    model: Model, tokens: Tensor, kind: str
) -> None:
    """A step along the gradient of one logit raises it by the step times the squared gradient."""
    site, few = Site(kind, 2), tokens[:1, :6]
    if site not in model.sites:
        pytest.skip("a parallel block has no stream between attention and MLP")
    run = model.run(few, capture=[site], interventions={site: lambda value: value.requires_grad_()})
    assert run.logits is not None
    (slope,) = torch.autograd.grad(run.logits[0, -1, 5], run[site])
    step = 1e-2 / float(slope.norm())
    with torch.no_grad():
        up, down = (
            model.run(few, interventions={site: _adds(sign * step * slope)}).logits
            for sign in (1, -1)
        )
    assert up is not None
    assert down is not None
    rise = (up - down)[0, -1, 5].double() / 2
    torch.testing.assert_close(
        float(rise), step * float(slope.square().sum()), rtol=0.05, atol=1e-5
    )


def test_an_intervention_in_place_does_not_change_what_was_captured_before(
    model: Model, tokens: Tensor
) -> None:
    """resid_post.0 and resid_pre.1 are one tensor; only the second is to be changed."""
    post, pre = Site("resid_post", 0), Site("resid_pre", 1)
    plain = model.run(tokens, capture=[post])[post].clone()
    run = model.run(tokens, capture=[post, pre], interventions={pre: Tensor.zero_})
    assert torch.equal(run[post], plain)
    assert not run[pre].any()


def test_interventions_do_not_outlive_an_exception(model: Model, tokens: Tensor) -> None:
    def fails(value: Tensor) -> Tensor:
        raise ZeroDivisionError

    for kind in ("head_q", "pattern", "head_out", "resid_mid" if not _parallel(model) else "embed"):
        site = Site(kind, 1) if kind != "embed" else Site(kind)
        with pytest.raises(ZeroDivisionError):
            model.run(tokens, interventions={site: fails})
        assert _untouched(model)


@pytest.mark.parametrize("wrong", [lambda value: value[:, 1:], lambda value: None])
def test_an_intervention_must_keep_the_shape(llama: Model, wrong: Callable[..., Tensor]) -> None:
    with pytest.raises(TomogramError, match=r"intervention at resid_pre\.1 must return"):
        llama.run(torch.zeros(1, 4, dtype=torch.int64), interventions={Site("resid_pre", 1): wrong})
    assert _untouched(llama)


def test_a_tape_with_nothing_to_do_places_nothing(llama: Model) -> None:
    with hooked(llama.wiring, Tape(), batch=1):
        assert _untouched(llama)


def test_stories15M_by_the_definitions_of_its_sites(stories15M, stories_text) -> None:
    model = load(stories15M)
    text = stories_text.read_text(encoding="utf-8")[:800]
    tokens = torch.tensor(model.tokenizer(text)["input_ids"])[None, :128]
    run = model.run(tokens, capture=model.sites)
    assert run.logits is not None
    states = model.module(tokens, output_hidden_states=True).hidden_states
    for layer in range(model.n_layers):
        assert torch.equal(run[Site("resid_pre", layer)], states[layer])
    assert torch.equal(run[Site("final_norm")], states[-1])
    loss = torch.nn.functional.cross_entropy(run.logits[0, :-1], tokens[0, 1:])
    # FIELD: perplexity of stories15M on its own stories is about 3.
    assert loss < 2


def _returns(value: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda _: value


def _adds(change: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda value: value + change


def _parallel(model: Model) -> bool:
    return model.wiring.blocks[0].parallel
