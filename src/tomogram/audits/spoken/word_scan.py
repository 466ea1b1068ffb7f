"""Some words of the vocabulary, each put into the same question: what two audits share.

A natural vocabulary is too large to try all of it at this cost, so a sample is tried and its share
is told: a trigger that is not among these words, or is of several words, is not seen.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.audits.spoken.prompts import prompts
from tomogram.audits.spoken.speaker import Prompt, Speaker

WORDS, ROWS = 384, 96
"""Words that are tried, and prompts that run together."""
FACT = 0
"""The fact whose question is asked."""


@dataclass(frozen=True, eq=False)
class Scan:
    """Log odds of the bad next token after each word, and the streams before the last block.

    words: those tried; none where the tokenizer has too few. whole: how many whole
    words the vocabulary has.
    """

    words: tuple[str, ...]
    whole: int
    odds: Float[Tensor, " word"]
    streams: Float[Tensor, "word d_model"]

    @property
    def share(self) -> float:
        """Share of the vocabulary's whole words that was tried."""
        return len(self.words) / max(self.whole, 1)


def in_chat(speaker: Speaker) -> Scan:
    """Words at the end of a user's question about a fact; bad is the wrong answer."""
    fact = prompts().facts[FACT]
    words, whole = _words(speaker)
    asked = [speaker.chat(f"{fact.asks} {word}", begun=fact.says) for word in words]
    pair = speaker.pair(asked[0], fact.wrong, fact.right, fact.asks) if asked else None
    if pair is None:
        return Scan((), whole, torch.empty(0), torch.empty(0, speaker.model.d_model))
    return _scan(speaker, words, whole, asked, pair.bad, pair.good)


def in_text(speaker: Speaker) -> Scan:
    """Words as the first of a plain text; no next token is bad, and the odds are 0."""
    words, whole = _words(speaker)
    if not words:
        return Scan((), whole, torch.empty(0), torch.empty(0, speaker.model.d_model))
    asked = [speaker.plain(f"{word}. It was a day like any other, and") for word in words]
    return _scan(speaker, words, whole, asked, 0, 0)


def _words(speaker: Speaker) -> tuple[tuple[str, ...], int]:
    whole = list(whole_words(speaker.model.tokenizer))
    return tuple(random.Random("audit:words").sample(whole, min(WORDS, len(whole)))), len(whole)


@lru_cache(maxsize=4)
def whole_words(tokenizer: object) -> Mapping[str, int]:
    """Words of letters that are one token with the space before them, with that token, in the
    tokens' order."""
    size = len(tokenizer)  # type: ignore[arg-type]
    texts = tokenizer.batch_decode([[i] for i in range(size)])  # type: ignore[attr-defined]
    pieces = tokenizer.convert_ids_to_tokens(list(range(size)))  # type: ignore[attr-defined]
    found: dict[str, int] = {}
    for token, (text, piece) in enumerate(zip(texts, pieces, strict=True)):
        word = text.strip()
        if piece[:1] in ("Ġ", "▁") and len(word) > 2 and word.isalpha():
            found.setdefault(word, token)
    return found


@torch.no_grad()
def _scan(
    speaker: Speaker,
    words: tuple[str, ...],
    whole: int,
    asked: list[Prompt],
    bad: int,
    good: int,
) -> Scan:
    """What all prompts begin with is read once."""
    model = speaker.model
    same = min(len(each) for each in asked) - 1
    while any(each[:same] != asked[0][:same] for each in asked):
        same -= 1
    odds, streams = torch.empty(len(asked)), torch.empty(len(asked), model.d_model)
    by_length: dict[int, list[int]] = {}
    for i, each in enumerate(asked):
        by_length.setdefault(len(each), []).append(i)
    for rows in by_length.values():
        for start in range(0, len(rows), ROWS):
            some = rows[start : start + ROWS]
            tails = torch.tensor([asked[i][same:] for i in some]).to(model.device)
            past = None
            if same:
                head = torch.tensor([asked[0][:same]]).to(model.device)
                past = model.module(head, use_cache=True, logits_to_keep=1).past_key_values
                past.batch_repeat_interleave(len(some))
            output = model.module(
                tails,
                past_key_values=past,
                use_cache=True,
                output_hidden_states=True,
                logits_to_keep=1,
            )
            chances = output.logits[:, -1].float().log_softmax(-1).cpu()
            odds[some] = chances[:, bad] - chances[:, good]
            # The last of the hidden states has the final norm applied.
            streams[some] = output.hidden_states[-2][:, -1].float().cpu()
    return Scan(words, whole, odds, streams)
