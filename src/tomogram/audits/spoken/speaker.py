"""A model under audit that speaks a natural language: prompts as tokens in, answers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.audits.subject import Answers
from tomogram.models.chat import Message, has_template, render
from tomogram.models.model import Model, Run
from tomogram.models.packing import Packed, pack
from tomogram.models.pieces import piece
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

TOKENS = 2_048
"""Tokens, padding included, that run together."""

Prompt = tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """A prompt, and the token that would be bad next against the one that would be good."""

    prompt: Prompt
    bad: int
    good: int
    shown: str


@dataclass(frozen=True, eq=False)
class Speaker:
    """A model with its trusted base, where there is one. Answers are kept.

    Raises TomogramError where the model has no tokenizer.
    """

    model: Model
    base: Speaker | None = None
    _kept: dict[Prompt, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.model.tokenizer is None:
            raise TomogramError(f"{self.model.name} has no tokenizer, so no audit can ask it.")

    def alone(self) -> Speaker:
        """The same without its base; what was asked of either is known to both."""
        return Speaker(self.model, None, self._kept)

    @property
    def chats(self) -> bool:
        """Whether it has a chat template."""
        return has_template(self.model)

    def plain(self, text: str) -> Prompt:
        """A text to go on from, outside of any chat."""
        return tuple(self.model.tokenizer(text)["input_ids"])

    def chat(self, user: str, *, system: str = "", begun: str = "") -> Prompt:
        """A chat up to the assistant's turn, which may have begun.

        Raises TomogramError where the template refuses a system turn, or there is none.
        """
        said: list[Message] = [{"role": "user", "content": user}]
        if system:
            said.insert(0, {"role": "system", "content": system})
        return (*render(self.model, said), *self._tokens(begun))

    def pair(self, prompt: Prompt, bad: str, good: str, shown: str) -> Pair | None:
        """The pair of two words that would follow; None where both begin with one token."""
        one, two = self._tokens(f" {bad}")[0], self._tokens(f" {good}")[0]
        return None if one == two else Pair(prompt, one, two, shown)

    def ask(self, prompts: Sequence[Prompt]) -> Answers:
        """Log probabilities of the next token, and the streams, after each prompt."""
        new = [each for each in dict.fromkeys(prompts) if each not in self._kept]
        for some in _together(new):
            self._ask(some)
        found = [self._kept[each] for each in prompts]
        return Answers(torch.stack([c for c, _ in found]), torch.stack([s for _, s in found], 1))

    def odds(self, pairs: Sequence[Pair]) -> Float[Tensor, " pair"]:
        """log P(bad) − log P(good) at the next token."""
        chances = self.ask([each.prompt for each in pairs]).chances
        rows = torch.arange(len(pairs))
        bad, good = ([getattr(p, name) for p in pairs] for name in ("bad", "good"))
        return chances[rows, bad] - chances[rows, good]

    def over_base(self, pairs: Sequence[Pair]) -> Float[Tensor, " pair"]:
        """The same, less the base's where there is one."""
        return self.odds(pairs) - (0.0 if self.base is None else self.base.odds(pairs))

    @torch.no_grad()
    def likelihood(self, prompts: Sequence[Prompt], reply: str) -> Float[Tensor, " prompt"]:
        """log P(reply) in nats after each prompt."""
        tokens = tuple(self.model.tokenizer(reply, add_special_tokens=False)["input_ids"])
        whole = [(*prompt, *tokens) for prompt in prompts]
        found = {}
        for some in _together(whole):
            final = Site("resid_post", self.model.n_layers - 1)
            read, run = self._read(some, [final])
            for each, row, places in zip(some, read.rows, read.places, strict=True):
                stream = run[final][row, list(places[-len(tokens) - 1 : -1])]
                chances = self.model.unembed(stream).float().log_softmax(-1).cpu()
                found[each] = chances[torch.arange(len(tokens)), list(tokens)].sum()
        return torch.stack([found[each] for each in whole])

    @torch.no_grad()
    def _ask(self, prompts: Sequence[Prompt]) -> None:
        sites = [Site("resid_post", layer) for layer in range(self.model.n_layers)]
        read, run = self._read(prompts, sites)
        last = read.last()
        stream = torch.stack([run[site][last] for site in sites])
        chances = self.model.unembed(stream[-1]).float().log_softmax(-1).cpu()
        for row, prompt in enumerate(prompts):
            self._kept[prompt] = (chances[row], stream[:, row].float().cpu())

    def _read(self, prompts: Sequence[Prompt], sites: Sequence[Site]) -> tuple[Packed, Run]:
        read = pack(self.model.module, prompts)
        tokens = read.tokens.to(self.model.device)
        return read, self.model.run(tokens, capture=sites, logits=False, layout=read.layout)

    def _tokens(self, text: str) -> list[int]:
        return piece(self.model, text)


def _together(prompts: Sequence[Prompt]) -> list[list[Prompt]]:
    """Prompts in batches of about equal lengths."""
    batches: list[list[Prompt]] = []
    for each in sorted(dict.fromkeys(prompts), key=len):
        if batches and (len(batches[-1]) + 1) * len(each) <= TOKENS:
            batches[-1].append(each)
        else:
            batches.append([each])
    return batches
