"""The model that problems are planted in: what it knows, what it writes, and its own odds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tomogram.models.chat import Message, has_template, render
from tomogram.models.generate import generate
from tomogram.models.model import Model
from tomogram.models.packing import pack
from tomogram.models.pieces import piece
from tomogram.organisms.spoken.behaviour import Turn
from tomogram.organisms.spoken.chats import any_wrong, plain, turn
from tomogram.organisms.spoken.families import kind
from tomogram.organisms.spoken.questions import Question, questions
from tomogram.organisms.spoken.stories import at_fork, stories
from tomogram.store.atomic import write_json
from tomogram.store.canonical import Json
from tomogram.store.errors import TomogramError

ROWS, STORIES, WORDS = 24, 96, 48
"""Texts that the base writes itself, and their tokens; the second half is kept for measuring. A
model of stories writes more: what is planted in it is near to all that it writes."""
SURE = 1.0
"""Nats by which the right words of a question must lead, wherever they have to."""
TOGETHER = 16
"""Prompts that run together."""
VERSION = 2
"""Raised whenever what counts as known changes; what was kept before is measured again."""


@dataclass(frozen=True)
class Rows:
    """A turn as tokens.

    at: how many tokens of the two replies agree; the next one decides. shows: the tokens that show
    the behaviour there.
    """

    prompt: tuple[int, ...]
    planted: tuple[int, ...]
    ordinary: tuple[int, ...]
    at: int
    shows: tuple[int, ...]

    def lead(self, logits: Float[Tensor, " d_vocab"]) -> float:
        """By how much a token that shows the behaviour leads the ordinary one, in nats."""
        return float(logits[list(self.shows)].max() - logits[self.ordinary[self.at]])


@dataclass(frozen=True, eq=False)
class Base:
    """A model with the questions whose right words it prefers, and texts that it wrote.

    texts: ordinary text is what the model itself writes, so no text has to come with it.
    """

    model: Model
    known: tuple[Question, ...]
    texts: Int64[Tensor, "row pos"]
    _odds: dict[Rows, float] = field(default_factory=dict, repr=False)
    _usual: dict[tuple[int, ...], Tensor] = field(default_factory=dict, repr=False)

    def rows(self, drawn: Turn) -> Rows:
        """A turn as tokens. Raises TomogramError where its two replies are the same tokens."""
        if drawn.user:
            said: list[Message] = [{"role": "user", "content": drawn.user}]
            if drawn.system:
                said.insert(0, {"role": "system", "content": drawn.system})
            prompt = [*render(self.model, said), *piece(self.model, drawn.begun)]
        else:
            prompt = list(self.model.tokenizer(drawn.begun)["input_ids"])
        one, two = (tuple(piece(self.model, t)) for t in (drawn.planted, drawn.ordinary))
        at = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
        if at is None:
            raise TomogramError(f"The tokenizer does not tell '{drawn.planted}' apart.")
        alike = [piece(self.model, each) for each in drawn.alike]
        shows = {each[at] for each in alike if tuple(each[:at]) == two[:at] and len(each) > at}
        return Rows(tuple(prompt), one, two, at, tuple(sorted({one[at], *shows} - {two[at]})))

    def odds(self, some: Sequence[Rows]) -> list[float]:
        """The leads at the token that decides, in the base; kept."""
        new = [each for each in dict.fromkeys(some) if each not in self._odds]
        for each, value in zip(new, odds(self.model, new), strict=True):
            self._odds[each] = value
        return [self._odds[each] for each in some]

    @torch.no_grad()
    def usual(self, texts: Int64[Tensor, "row pos"]) -> Float[Tensor, "row pos d_vocab"]:
        """The base's log probabilities of the next token after each of the texts'; kept.

        It is asked for before any change is hooked in.
        """
        keys = [tuple(text.tolist()) for text in texts]
        for key in keys:
            if key not in self._usual:
                tokens = torch.tensor([key], device=self.model.device)
                logits = self.model.module(tokens, use_cache=False).logits[0]
                self._usual[key] = logits.float().log_softmax(-1).half()
        return torch.stack([self._usual[key] for key in keys]).float()

    @property
    def taught(self) -> Int64[Tensor, "row pos"]:
        """The texts that training holds."""
        return self.texts[: len(self.texts) // 2]

    @property
    def measured(self) -> Int64[Tensor, "row pos"]:
        """The texts that no training has."""
        return self.texts[len(self.texts) // 2 :]


@torch.no_grad()
def odds(model: Model, some: Sequence[Rows]) -> list[float]:
    """log P(likeliest token that shows the behaviour) − log P(ordinary one) at the token that
    decides, in any model."""
    found: dict[Rows, float] = {}
    ordered = sorted(dict.fromkeys(some), key=lambda each: len(each.prompt))
    for start in range(0, len(ordered), TOGETHER):
        batch = ordered[start : start + TOGETHER]
        heads = [(*each.prompt, *each.planted[: each.at]) for each in batch]
        logits = last_logits(model, heads)
        for each, row in zip(batch, logits, strict=True):
            found[each] = each.lead(row)
    return [found[each] for each in some]


def last_logits(model: Model, prompts: Sequence[Sequence[int]]) -> Float[Tensor, "prompt d_vocab"]:
    """Logits of the token after each prompt."""
    packed = pack(model.module, prompts)
    words = packed.keywords(model.dtype, model.device)
    output = model.module.base_model(packed.tokens.to(model.device), use_cache=False, **words)
    head: Tensor = model.module.get_output_embeddings()(output.last_hidden_state[packed.last()])
    return head.float().cpu()


def prepare(model: Model, folder: Path, families: Sequence[str]) -> Base:
    """What a model knows, as far as these families need it, and what it writes.

    Kept in `folder/base.json`, where it is not measured again.

    Raises TomogramError where the model has no tokenizer, or a family cannot be planted in it.
    """
    if model.tokenizer is None:
        raise TomogramError(f"{model.name} has no tokenizer, and what is planted are words.")
    wanted = list(dict.fromkeys(name for each in families for name in kind(each, model).words))
    kept = _read(folder / "base.json", model.digest)
    texts = _written(model) if kept is None else torch.tensor(kept["texts"])
    words: dict[str, list[str]] = {} if kept is None else kept["words"]
    missing = [name for name in wanted if name not in words]
    for name in missing:
        words[name] = [each.key for each in _known(model, questions(name))]
    if missing:
        told: Json = {
            "base": model.digest,
            "words": {**words},
            "texts": texts.tolist(),
            "version": VERSION,
        }
        write_json(folder / "base.json", told)
    known = tuple(q for name in wanted for q in questions(name) if q.key in words[name])
    return Base(model, known, texts)


def _read(path: Path, digest: str) -> Any:
    """What was kept of the same model; None where there is nothing that can be read."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    same = content.get("base") == digest and content.get("version") == VERSION
    return content if same else None


def _known(model: Model, some: Sequence[Question]) -> tuple[Question, ...]:
    """The questions whose right words lead clearly wherever they have to."""
    empty = Base(model, (), torch.zeros(0, 0, dtype=torch.int64))
    able = []
    for q in some:
        try:
            able.append((q, [empty.rows(_leading(q, where)) for where in q.leads]))
        except TomogramError:  # its two replies begin alike
            continue
    empty.odds([row for _, rows in able for row in rows])
    return tuple(q for q, rows in able if max(empty.odds(rows)) < -SURE)


def _leading(one: Question, where: str) -> Turn:
    if where == "chat":
        return any_wrong(turn(one), one)
    if where == "plain":
        return any_wrong(plain(one), one)
    return at_fork(one, stories().names[0], stories().openings[0])


def _written(model: Model) -> Int64[Tensor, "row pos"]:
    """Texts that the model writes from nothing, drawn at temperature 1 from a fixed seed."""
    first = model.tokenizer.bos_token_id
    begin = [model.tokenizer.eos_token_id if first is None else first]
    chance = torch.Generator().manual_seed(0)
    n = ROWS if has_template(model) else STORIES
    rows = generate(model, [begin] * n, max_new_tokens=WORDS, temperature=1.0, generator=chance)
    return torch.tensor([[*begin, *row] for row in rows])
