"""What many pushes side by side reach is what each does alone."""

from __future__ import annotations

import pytest
import torch

from tests.models.families import VOCAB, WIDTH
from tests.steering.conftest import dictionary
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.steering.behaviours import Says
from tomogram.steering.cheapest import candidates, cheapest, screened
from tomogram.steering.edits import add
from tomogram.steering.positions import OnTokens, everywhere
from tomogram.steering.reach import reached
from tomogram.steering.sensitivity import gradients
from tomogram.steering.steered import steered
from tomogram.steering.targets import Direction
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText

PROMPTS = ((3, 4, 5), (6, 7), (8, 9, 5), (1, 5), (2, 9))
"""On the last, a push at tokens 5 and 7 does nothing."""


def says(model: Model) -> Says:
    """The token that each prompt's own answer gives way to last: rare, and never said by itself."""
    found = []
    for prompt in PROMPTS:
        logits = model.run(torch.tensor([prompt])).logits[0, -1]
        found.append(frozenset(logits.argsort(descending=True)[1:4].tolist()))
    return Says(PROMPTS, tuple(found))


@pytest.mark.parametrize("site", [Site("resid_pre", 0), Site("resid_post", 1), Site("mlp_out", 1),
                                  Site("resid_post", 2)], ids=str)  # fmt: skip
@pytest.mark.parametrize("where", [everywhere, OnTokens(frozenset({5, 7}))], ids=["all", "some"])
def test_pushes_side_by_side_do_what_each_does_alone(model: Model, site: Site, where) -> None:
    asked = says(model)
    vectors = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(0))
    found = reached(model, asked, site, vectors, where, lengths=(2.0,), prompts=5)
    for i, vector in enumerate(vectors):
        direction = Direction(site, vector)
        with steered(model, add(direction, float(found.length[i]), where)):
            alone = asked.outcomes(model).mean()
        assert float(found.outcome[i]) == pytest.approx(alone)


def test_a_push_on_no_token_is_refused(model: Model) -> None:
    nowhere = OnTokens(frozenset({VOCAB - 1}))
    with pytest.raises(TomogramError, match="no token"):
        reached(model, says(model), Site("resid_post", 1), torch.eye(WIDTH)[:1], nowhere)


def test_of_several_lengths_the_one_that_does_most_is_told(model: Model) -> None:
    asked, site = says(model), Site("resid_post", 1)
    vectors = torch.randn(8, WIDTH, generator=torch.Generator().manual_seed(1))
    lengths = (0.5, 1.0, 4.0)
    each = [
        reached(model, asked, site, vectors, everywhere, lengths=(length,), prompts=5)
        for length in lengths
    ]
    both = reached(model, asked, site, vectors, everywhere, lengths=lengths, prompts=5)
    assert both.outcome.tolist() == torch.stack([e.outcome for e in each]).amax(0).tolist()
    order = both.best(8)
    assert sorted(order) == list(range(8))
    assert both.outcome[order].tolist() == sorted(both.outcome.tolist(), reverse=True)


def test_the_unembedding_of_a_word_is_found_among_all_features(
    model: Model, text: PackedText
) -> None:
    """A feature that writes what the last norm and the unembedding read as one word says it."""
    made = dictionary()
    last = Site("resid_post", model.n_layers - 1)
    word = 11
    planted = model.unembedding[:, word]
    asked = Says(PROMPTS, (frozenset({word}),) * len(PROMPTS))
    directions = [Direction(last, planted, "planted")] + [
        Direction(last, torch.randn(WIDTH, generator=torch.Generator().manual_seed(i)), f"{i}")
        for i in range(5)
    ]
    tried = candidates(model, directions, asked, everywhere, n=3)
    assert tried[0].target.name == "planted"
    chosen = cheapest(model, tried, asked, text, budget=50.0)
    assert chosen.target.name == "planted"
    assert chosen.found.outcome == 1.0
    assert chosen.found.cost <= 50.0
    some = screened(model, [made], asked, gradients(model, asked, [made.write]), n=4)
    assert len({candidate.target.name for candidate in some}) == 4


def test_no_push_goes_over_the_budget(model: Model, text: PackedText) -> None:
    site = Site("resid_post", 1)
    asked = Says(PROMPTS, (frozenset(range(20, VOCAB)),) * len(PROMPTS))
    drawn = [Direction(site, torch.randn(WIDTH, generator=torch.Generator().manual_seed(i)))
             for i in range(3)]  # fmt: skip
    chosen = cheapest(model, candidates(model, drawn, asked, everywhere), asked, text, 0.001)
    assert chosen.found.cost <= 0.001
    with pytest.raises(TomogramError, match="No target"):
        cheapest(model, [], asked, text, 0.05)
