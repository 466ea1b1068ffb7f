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
    _kept: dict[tuple[str, ...], Answers] = field(default_factory=dict, repr=False)

    @property
    def ids(self) -> Mapping[str, int]:
        """Token ids of words."""
        return vocabulary(self.world)

    def ask(self, prompts: Sequence[str]) -> Answers:
        """Answers to prompts of whole words; `<bos>` is put before each."""
        key = tuple(prompts)
        if key not in self._kept:
            self._kept[key] = self._ask(key)
        return self._kept[key]

    @torch.no_grad()
    def _ask(self, prompts: tuple[str, ...]) -> Answers:
        rows = [[self.ids["<bos>"], *encode(self.world, prompt)] for prompt in prompts]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        chances: list[Tensor | None] = [None] * len(rows)
        streams: list[Tensor | None] = [None] * len(rows)
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
            for row, i in enumerate(some):
                chances[i] = logits[row].log_softmax(-1)
                streams[i] = stream[:, row]
        return Answers(
            torch.stack([c for c in chances if c is not None]),
            torch.stack([s for s in streams if s is not None], dim=1),
        )

    @torch.no_grad()
    def ask_after(self, prefix: str, endings: Sequence[str]) -> Answers:
        """Answers to endings of equal length that follow one prefix, which is read once."""
        key = (prefix, *endings)
        if key in self._kept:
            return self._kept[key]
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
        self._kept[key] = answers
        return answers
