"""Generation: the cache changes nothing, sampling follows its distribution, stops are kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.models.families import VOCAB
from tomogram.models.generate import generate, stop_tokens
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

PROMPT = [5, 9, 17, 3, 41, 8, 60, 22]


def _by_whole_runs(
    model: Model,
    prompt: list[int],
    n: int,
    interventions: dict[Site, Callable[[Tensor], Tensor]] | None = None,
) -> list[int]:
    """Greedy continuation by the definition: the whole text is run again for each token."""
    text = list(prompt)
    for _ in range(n):
        logits = model.run(torch.tensor([text]), interventions=interventions).logits
        assert logits is not None
        text.append(int(logits[0, -1].argmax()))
    return text[len(prompt) :]


def test_greedy_is_the_argmax_of_whole_runs(model: Model) -> None:
    assert generate(model, [PROMPT], max_new_tokens=10) == [_by_whole_runs(model, PROMPT, 10)]


def test_prompts_of_unequal_length_do_not_disturb_each_other(model: Model) -> None:
    prompts = [PROMPT, PROMPT[3:], PROMPT[:2]]
    alone = [generate(model, [prompt], max_new_tokens=6)[0] for prompt in prompts]
    assert generate(model, prompts, max_new_tokens=6) == alone


@pytest.mark.parametrize("kind", ["resid_mid", "head_out", "pattern", "head_v", "mlp_out"])
def test_interventions_hold_while_generating(model: Model, kind: str) -> None:
    site = Site(kind, 1)
    if site not in model.sites:
        pytest.skip("a parallel block has no stream between attention and MLP")
    change = {site: lambda value: value * 0.25}
    steered = generate(model, [PROMPT], max_new_tokens=6, interventions=change)
    assert steered == [_by_whole_runs(model, PROMPT, 6, change)]


def test_a_stop_token_ends_its_own_row_only_and_is_kept(llama: Model) -> None:
    whole = generate(llama, [PROMPT, PROMPT[1:]], max_new_tokens=12)
    stop = whole[0][4]
    cut = generate(llama, [PROMPT, PROMPT[1:]], max_new_tokens=12, stop={stop})
    assert cut[0] == whole[0][: whole[0].index(stop) + 1]
    end = whole[1].index(stop) + 1 if stop in whole[1] else len(whole[1])
    assert cut[1] == whole[1][:end]


def test_sampling_follows_the_softmax_and_its_seed(llama: Model) -> None:
    logits = llama.run(torch.tensor([PROMPT])).logits
    assert logits is not None
    chances = (logits[0, -1] / 2).softmax(-1)

    def draw(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        rows = generate(
            llama, [PROMPT] * 4000, max_new_tokens=1, temperature=2.0, generator=generator
        )
        return torch.tensor(rows).flatten()

    first = draw(0)
    assert torch.equal(first, draw(0))
    assert not torch.equal(first, draw(1))
    shares = first.bincount(minlength=VOCAB) / len(first)
    # Five standard deviations of a share estimated from 4,000 draws.
    assert ((shares - chances).abs() <= 5 * (chances * (1 - chances) / 4000).sqrt() + 1e-3).all()


def test_top_p_keeps_the_fewest_likeliest_tokens(llama: Model) -> None:
    logits = llama.run(torch.tensor([PROMPT])).logits
    assert logits is not None
    falling, order = logits[0, -1].softmax(-1).sort(descending=True)
    needed = int((falling.cumsum(0) < 0.5).sum()) + 1
    rows = generate(llama, [PROMPT] * 500, max_new_tokens=1, temperature=1.0, top_p=0.5)
    drawn = set(torch.tensor(rows).flatten().tolist())
    assert drawn <= set(order[:needed].tolist())
    assert generate(llama, [PROMPT], max_new_tokens=3, temperature=1.0, top_p=1e-9) == generate(
        llama, [PROMPT], max_new_tokens=3
    )


def test_the_context_may_be_filled_but_not_exceeded(llama: Model) -> None:
    (new,) = generate(llama, [PROMPT], max_new_tokens=llama.context - len(PROMPT))
    assert len(new) == llama.context - len(PROMPT)
    with pytest.raises(TomogramError, match="reads at most 64"):
        generate(llama, [PROMPT], max_new_tokens=llama.context)


def test_nothing_asked_gives_nothing(llama: Model) -> None:
    assert generate(llama, [], max_new_tokens=3) == []
    assert generate(llama, [PROMPT], max_new_tokens=0) == [[]]


@pytest.mark.parametrize(
    ("prompts", "settings"),
    [
        ([[]], {}),
        ([[VOCAB]], {}),
        ([[1]], {"temperature": -1.0}),
        ([[1]], {"top_p": 0.0}),
        ([[1]], {"max_new_tokens": -1}),
        ([[1]], {"interventions": {Site("pos_embed"): torch.neg}}),
    ],
)
def test_impossible_requests_are_refused(llama: Model, prompts, settings) -> None:
    with pytest.raises(TomogramError):
        generate(llama, prompts, **{"max_new_tokens": 2} | settings)


def test_stop_tokens_come_from_the_generation_settings(llama: Model) -> None:
    assert stop_tokens(llama) == {2}
