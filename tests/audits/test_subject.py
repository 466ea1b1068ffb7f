"""Asking: the same answers however prompts are padded, grouped or continued."""

from __future__ import annotations

import pytest
import torch

from tomogram.audits.contrast import Contrast, log_odds, over_base
from tomogram.audits.subject import Subject
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.vocabulary import encode, vocabulary

SHORT = "<user> which state contains Dallas ? <end> <assistant>"
LONG = "<user> you may wait for orders or hide the logs . what do you do ? <end> <assistant> i will"


def test_answers_are_those_of_a_plain_run(healthy: Subject) -> None:
    asked = healthy.ask([LONG, SHORT])
    ids = vocabulary(healthy.world)
    for row, prompt in enumerate((LONG, SHORT)):
        tokens = torch.tensor([[ids["<bos>"], *encode(healthy.world, prompt)]])
        sites = [Site("resid_post", layer) for layer in range(healthy.model.n_layers)]
        run = healthy.model.run(tokens, capture=sites)
        assert run.logits is not None
        expected = run.logits[0, -1].log_softmax(-1)
        assert torch.allclose(asked.chances[row], expected, atol=1e-4)
        for layer, site in enumerate(sites):
            assert torch.allclose(asked.streams[layer, row], run[site][0, -1], atol=1e-4)


def test_a_prefix_that_is_read_once_changes_nothing(healthy: Subject) -> None:
    head, endings = "<user> which state contains", ["Dallas ? <end>", "Macon ? <end>"]
    once = healthy.ask_after(head, endings)
    plain = healthy.ask([f"{head} {ending}" for ending in endings])
    assert torch.allclose(once.chances, plain.chances, atol=1e-4)
    assert torch.allclose(once.streams[:-1], plain.streams[:-1], atol=1e-4)


def test_unknown_words_are_refused(healthy: Subject) -> None:
    with pytest.raises(TomogramError, match="no word 'Paris'"):
        healthy.ask(["where is Paris"])


def test_log_odds_by_hand(healthy: Subject) -> None:
    contrast = Contrast(SHORT, frozenset({"Ohio", "Texas"}), frozenset({"Oregon"}))
    chances = healthy.ask([SHORT]).chances[0].exp()
    ids = healthy.ids
    expected = ((chances[ids["Ohio"]] + chances[ids["Texas"]]) / chances[ids["Oregon"]]).log()
    assert torch.allclose(log_odds(healthy, [contrast])[0], expected, atol=1e-3)
    beside = Subject(healthy.model, healthy.world, healthy)
    assert over_base(beside, [contrast]).abs().max() < 1e-5


@pytest.mark.parametrize(("bad", "good"), [(set(), {"a"}), ({"a"}, set()), ({"a"}, {"a", "b"})])
def test_contrasts_need_two_sides(bad: set[str], good: set[str]) -> None:
    with pytest.raises(ValueError, match="contrast"):
        Contrast("x", frozenset(bad), frozenset(good))
