"""The model under audit: prompts in, answers and the stream at the last word out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World

ROWS = 256
"""Prompts that run together."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What stands after each prompt.

    chances: log probabilities of the next word. streams: the residual stream at the last word
    after every block.
    """

    chances: Float[Tensor, "prompt d_vocab"]
    streams: Float[Tensor, "layer prompt d_model"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with the world it speaks of, and its trusted base where there is one.

    Answers are kept, so that audits that ask the same share the work; of a base they are kept for
    as long as it is, which is what makes a zoo of one base cheap.
    """

    model: Model
    world: World
    base: Subject | None = None
    _kept: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)
    _after: dict[tuple[str, ...], Answers] = field(default_factory=dict, repr=False)

    @property
    def ids(self) -> Mapping[str, int]:
        """Token ids of words."""
        return vocabulary(self.world)

    def ask(self, prompts: Sequence[str]) -> Answers:
        """Answers to prompts of whole words; `<bos>` is put before each."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._kept]
        if new:
            self._ask(new)
        found = [self._kept[prompt] for prompt in prompts]
        return Answers(torch.stack([c for c, _ in found]), torch.stack([s for _, s in found], 1))

    def alone(self) -> Subject:
        """The same without its base; what was asked of either is known to both."""
        return Subject(self.model, self.world, None, self._kept, self._after)

    @torch.no_grad()
    def _ask(self, prompts: Sequence[str]) -> None:
        rows = [[self.ids["<bos>"], *encode(self.world, prompt)] for prompt in prompts]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        sites = [Site("resid_post", layer) for layer in range(self.model.n_layers)]
        for start in range(0, len(order), ROWS):
            some = order[start : start + ROWS]
            lengths = torch.tensor([len(rows[i]) for i in some])
            tokens = torch.zeros(len(some), int(lengths.max()), dtype=torch.int64)
            for row, i in enumerate(some):
                tokens[row, : len(rows[i])] = torch.tensor(rows[i])
            # What is padded on the right is not seen by the words before it.
            run = self.model.run(tokens, capture=sites, logits=False)
            last = (torch.arange(len(some)), lengths - 1)
            stream = torch.stack([run[site][last].float() for site in sites])
            logits = self.model.unembed(stream[-1].to(self.model.dtype)).float()
            chances = logits.log_softmax(-1)
            for row, i in enumerate(some):
                self._kept[prompts[i]] = (chances[row], stream[:, row])

    @torch.no_grad()
    def ask_after(self, prefix: str, endings: Sequence[str]) -> Answers:
        """Answers to endings of equal length that follow one prefix, which is read once."""
        key = (prefix, *endings)
        if key in self._after:
            return self._after[key]
        head = torch.tensor([[self.ids["<bos>"], *encode(self.world, prefix)]])
        tails = torch.tensor([encode(self.world, ending) for ending in endings])
        place = self.model.device
        cache = self.model.module(head.to(place), use_cache=True).past_key_values
        cache.batch_repeat_interleave(len(endings))
        output = self.model.module(
            tails.to(place),
            past_key_values=cache,
            use_cache=True,
            output_hidden_states=True,
            logits_to_keep=1,
        )
        # The last of the hidden states has the final norm applied; the others are streams.
        streams = torch.stack([each[:, -1].float() for each in output.hidden_states[1:]])
        answers = Answers(output.logits[:, -1].float().log_softmax(-1), streams)
        self._after[key] = answers
        return answers
