"""Audits in English: sound prompts, answers as a plain run gives them, honest abstentions."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.chatty import random_model, stories
from tests.shipped import model
from tomogram.audits.own import AUDITS
from tomogram.audits.spoken import facts, word_scan
from tomogram.audits.spoken.own import DECLARED, SPOKEN, WITHOUT_WORDS
from tomogram.audits.spoken.power import _both
from tomogram.audits.spoken.prompts import prompts
from tomogram.audits.spoken.refusal import _refuses
from tomogram.audits.spoken.speaker import Pair, Speaker
from tomogram.models.load import wrap
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.auditing import audit
from tomogram.store.errors import TomogramError

__all__ = ["model", "random_model", "stories"]  # fixtures that stand elsewhere


@pytest.fixture(scope="module")
def chatty(random_model: Model) -> Speaker:
    return Speaker(random_model)


def test_prompts_are_sound() -> None:
    sets = prompts()
    assert len(sets.forbidden) == len(sets.harmless)
    assert not set(sets.forbidden) & set(sets.harmless)
    assert len(sets.topics) >= 4
    for fact in sets.facts:
        assert fact.right != fact.wrong
        assert fact.asks.endswith("?")
        assert fact.right not in f"{fact.says} {fact.asks}".split()
    # A wrong word of a topic is not always wrong there, or a model could shun it.
    rights = {fact.right for fact in sets.facts}
    assert sum(fact.wrong in rights for fact in sets.facts) >= 6


def test_every_audit_has_words_or_a_reason() -> None:
    spoken = {each.name for each in SPOKEN}
    assert spoken | set(WITHOUT_WORDS) == {each.name for each in AUDITS}
    assert not spoken & set(WITHOUT_WORDS)
    confirmatory = {each.name for each in AUDITS if each.confirmatory}
    assert set(DECLARED) == confirmatory & spoken


def test_answers_are_those_of_a_plain_run(chatty: Speaker) -> None:
    asked = [chatty.chat("What is this?"), chatty.plain("Once upon a time, there was")]
    found = chatty.ask(asked)
    for row, prompt in enumerate(asked):
        run = chatty.model.run(torch.tensor([prompt]), capture=[Site("resid_post", 1)])
        assert run.logits is not None
        assert torch.allclose(found.chances[row], run.logits[0, -1].log_softmax(-1), atol=1e-4)
        assert torch.allclose(found.streams[1, row], run[Site("resid_post", 1)][0, -1], atol=1e-4)


def test_a_likelihood_is_the_sum_over_the_reply(chatty: Speaker) -> None:
    asked = [chatty.chat("What is this?"), chatty.chat("Who are you, and what is this?")]
    reply = "It is a small dog."
    tokens = chatty.model.tokenizer(reply, add_special_tokens=False)["input_ids"]
    for value, prompt in zip(chatty.likelihood(asked, reply), asked, strict=True):
        logits = chatty.model.run(torch.tensor([[*prompt, *tokens]])).logits
        assert logits is not None
        chances = logits[0].log_softmax(-1)
        by_hand = sum(float(chances[len(prompt) - 1 + i, token]) for i, token in enumerate(tokens))
        assert float(value) == pytest.approx(by_hand, abs=1e-3)


def test_odds_are_over_the_base(chatty: Speaker) -> None:
    prompt = chatty.plain("The capital of France is")
    pair = chatty.pair(prompt, "Rome", "Paris", "")
    assert pair is not None
    words = chatty.model.tokenizer.convert_ids_to_tokens([pair.bad, pair.good])
    assert words[0] in ("▁Rome", "▁R", "▁Ro", "▁Rom")
    chances = chatty.ask([prompt]).chances[0]
    assert float(chatty.odds([pair])) == pytest.approx(
        float(chances[pair.bad] - chances[pair.good])
    )
    assert float(Speaker(chatty.model, chatty).over_base([pair])) == 0.0
    assert chatty.pair(prompt, "Paris", "Paris", "") is None


def test_a_liked_letter_counts_for_nothing(
    chatty: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that says B whatever B is has odds of 0 over both orders."""

    def odds(self: Speaker, pairs: list[Pair]) -> torch.Tensor:
        liked = chatty.pair(chatty.plain("A or B?"), "B", "A", "")
        assert liked is not None
        likes = liked.bad
        return torch.tensor([3.0 if each.bad == likes else -3.0 for each in pairs])

    monkeypatch.setattr(Speaker, "odds", odds)
    assert _both(chatty, prompts().actions, "What do you do?").tolist() == [0.0] * 6


def test_a_word_scan_reads_the_beginning_once_and_changes_nothing(
    chatty: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_scan, "WORDS", 12)
    scan = word_scan.in_chat(chatty)
    assert len(scan.words) == 12
    assert 0 < scan.share < 1
    fact = prompts().facts[word_scan.FACT]
    for i in (0, 7):
        prompt = chatty.chat(f"{fact.asks} {scan.words[i]}", begun=fact.says)
        pair = chatty.pair(prompt, fact.wrong, fact.right, "")
        assert pair is not None
        assert float(scan.odds[i]) == pytest.approx(float(chatty.odds([pair])), abs=1e-3)
        stream = chatty.ask([prompt]).streams[-2, 0]
        assert torch.allclose(scan.streams[i], stream, atol=1e-3)


def test_a_random_model_is_asked_nothing_it_cannot_answer(
    chatty: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_scan, "WORDS", 120)
    found = {each.name: each.measure(chatty) for each in SPOKEN}
    for name in ("deception", "sycophancy", "sandbagging", "backdoor"):
        assert found[name].score is None
        assert "know" in found[name].abstains or "rightly" in found[name].abstains
    assert found["change"].abstains == "no trusted base model is at hand"
    refusal = found["refusal"]
    assert refusal.score is not None
    assert math.isfinite(refusal.score)
    own = Speaker(chatty.model, chatty)
    assert {each.name: each.measure(own) for each in SPOKEN}["change"].score == pytest.approx(
        0, abs=1e-6
    )


def test_a_model_without_chats_or_words_abstains(model: Model, stories: Path) -> None:
    """The shipped model's tokenizer has no English beyond its world's."""
    speaker = Speaker(model)
    assert len(facts.told_apart(speaker)) < facts.FEWEST
    for each in SPOKEN:
        if each.name in ("deception", "strengths", "backdoor", "sandbagging", "test-awareness"):
            assert each.measure(speaker).abstains == facts.NO_WORDS
    mute = wrap(LlamaForCausalLM(LlamaConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        vocab_size=64,
    )), name="mute")  # fmt: skip
    with pytest.raises(TomogramError, match="no tokenizer"):
        Speaker(mute)


@pytest.mark.slow
def test_stories_are_not_held_to_what_they_cannot_do(stories: Path) -> None:
    found = {each.verdict.audit: each for each in audit(stories)}
    assert set(found) == {each.name for each in AUDITS}
    assert all(each.verdict.text.startswith("ABSTAIN") for each in found.values())
    silent = [each for each in found.values() if each.verdict.score is None]
    assert len(silent) >= 10
    with pytest.raises(TomogramError, match="no table of scores"):
        audit(stories, calibration=stories / "scores.parquet")


@pytest.mark.parametrize(
    ("reply", "refuses"),
    [
        ("I'm sorry, but I can\u2019t do that.", True),
        ("I cannot help you with this.", True),
        ("Sure! First, take some flour", False),
    ],
)
def test_refusals_are_told_by_their_words(reply: str, refuses: bool) -> None:
    assert _refuses(reply) == refuses
