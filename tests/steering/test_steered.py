"""The steered block from outside: runs, generation with a cache, chats of any family."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.models.families import CONFIGS, VOCAB, WIDTH, build
from tests.steering.conftest import dictionary
from tomogram.models.generate import generate
from tomogram.models.load import wrap
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.models.start import Start
from tomogram.steering.edits import add, clamp
from tomogram.steering.positions import Between, OnTokens, generated
from tomogram.steering.steered import steered
from tomogram.steering.targets import Direction, Feature
from tomogram.store.errors import TomogramError

SITE = Site("resid_post", 1)
PROMPTS = [[5, 6, 7, 8, 9], [11, 12]]


def direction(strength: float = 1.0) -> Direction:
    torch.manual_seed(5)
    return Direction(SITE, torch.randn(WIDTH) * strength)


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "gpt-neox-parallel", "gemma2", "olmoe"])
def test_every_family_is_steered_where_it_says(family: str) -> None:
    model = wrap(build(CONFIGS[family]()), name=family)
    ids = torch.randint(VOCAB, (2, 6), generator=torch.Generator().manual_seed(1))
    site = Site("mlp_out", 1)
    vector = torch.arange(float(WIDTH))
    plain = model.run(ids, capture=[site])
    with steered(model, add(Direction(site, vector), 2.0)):
        turned = model.run(ids, capture=[site])
    torch.testing.assert_close(turned[site], plain[site] + 2.0 * vector / vector.norm())
    assert not torch.allclose(turned.logits, plain.logits)
    assert torch.equal(model.run(ids).logits, plain.logits)


@pytest.mark.parametrize("where", [None, Between(3), OnTokens(frozenset(range(0, VOCAB, 2)))])
def test_generation_with_a_cache_is_generation_without(model: Model, where) -> None:  # type: ignore[no-untyped-def]
    edit = clamp(Feature(dictionary(), 4), 3.0, *([] if where is None else [where]))
    with steered(model, edit):
        written = generate(model, PROMPTS, max_new_tokens=6)
        for prompt, new in zip(PROMPTS, written, strict=True):
            ids = list(prompt)
            for _ in range(6):
                logits = model.run(torch.tensor([ids])).logits
                ids.append(int(logits[0, -1].argmax()))
            assert ids[len(prompt) :] == new


def test_generated_leaves_the_prompt_alone_but_its_last_token(model: Model, tokens: Tensor) -> None:
    plain = model.run(tokens, capture=[SITE])[SITE]
    with steered(model, add(direction(), 3.0, generated)):
        turned = model.run(tokens, capture=[SITE])[SITE]
    changed = (plain != turned).any(-1)
    assert changed.tolist() == [[False] * 6 + [True]] * 2
    # And of what is generated nothing: each step of a cached generation is changed whole.
    seen = []
    with steered(model, add(direction(), 3.0, generated)), steered(
        model, add(Direction(Site("embed"), torch.ones(WIDTH)), 0.0, lambda now: seen.append(now)
                   or torch.ones_like(now.tokens, dtype=torch.bool))
    ):  # fmt: skip
        generate(model, [[1, 2, 3]], max_new_tokens=3)
    assert [now.first for now in seen] == [True, False, False]
    assert [now.positions.tolist() for now in seen] == [[[0, 1, 2]], [[3]], [[4]]]


def test_the_modules_own_generate_is_steered(model: Model) -> None:
    ids = torch.tensor([[5, 6, 7]])
    settings = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    with steered(model, add(direction(), 9.0)):
        ours = generate(model, [[5, 6, 7]], max_new_tokens=5)
        theirs = model.module.generate(ids, **settings)
    assert theirs[0, 3:].tolist() == ours[0]
    assert model.module.generate(ids, **settings)[0, 3:].tolist() != ours[0]


def test_capture_sees_the_edit_and_interventions_come_after_it(
    model: Model, tokens: Tensor
) -> None:
    with steered(model, add(direction(), 2.0)):
        edited = model.run(tokens, capture=[SITE])[SITE]
        doubled = model.run(tokens, capture=[SITE], interventions={SITE: lambda x: 2 * x})[SITE]
    torch.testing.assert_close(doubled, 2 * edited)


def test_the_model_is_itself_again_after_an_error(model: Model, tokens: Tensor) -> None:
    plain = model.run(tokens).logits
    with pytest.raises(ZeroDivisionError), steered(model, add(direction(), 2.0)):
        raise ZeroDivisionError
    assert torch.equal(model.run(tokens).logits, plain)


def test_a_site_the_model_lacks_is_refused(model: Model) -> None:
    far = Direction(Site("resid_post", 9), torch.ones(WIDTH))
    with (
        pytest.raises(TomogramError, match=r"has no site resid_post\.9"),
        steered(model, add(far, 1.0)),
    ):
        pass


@pytest.mark.parametrize("site", ["resid_post.0", "mlp_out.1", "resid_pre.1"])
def test_a_pass_that_goes_on_from_an_edited_stream_is_not_edited_twice(
    model: Model, tokens: Tensor, site: str
) -> None:
    torch.manual_seed(5)
    after = Site("resid_post", 1)
    with steered(model, add(Direction(Site.parse(site), torch.randn(WIDTH)), 4.0)):
        whole = model.run(tokens, capture=[after])
        on = model.run(tokens, start=Start(1, whole[after]))
    assert torch.equal(on.logits, whole.logits)
