"""Prompt: which features fire at each token of a text and matter for what comes next, what the
stream says at each depth, and where each head looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.features.search.prompt import Firing, read_prompt
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.searching import Search
from tomogram.store.errors import TomogramError

MOST_TOKENS = 96
FIRING, MATTERING = 12, 4
"""Features shown a token and dictionary: those that fire most strongly, and besides them those
that matter most."""
MEASURED = 16
"""Features that are taken out of the model, one at a time, those that should matter most."""
LENS = 3
_NEXT = 8

Shown = list[float | None]


def encode(search: Search, text: str, most: int = MOST_TOKENS) -> list[int]:
    """The tokens of a text as the model reads it.

    Raises:
        TomogramError: the model has no tokenizer, or the text is empty or too long.
    """
    tokens = search.tokens(text)
    if not text or not tokens:
        raise TomogramError("Type a text of at least one token.")
    most = min(most, search.model.context)
    if len(tokens) > most:
        raise TomogramError(f"The text has {len(tokens)} tokens; this page reads at most {most}.")
    return tokens


def read_text(search: Search, text: str, target: int | None = None) -> dict[str, Any]:
    """What the pages show of one text.

    How much a feature matters is told by `features.search.prompt`.

    Args:
        target: the next token in question; the model's likeliest when None.

    Returns:
        JSON. `tokens` are ids; `families[name]` has for each token some features as
        [unit, activation, estimated, measured], the last two in nats of the target's log
        probability; `lens[depth][position]` has `LENS` pairs [id, probability];
        `attention[layer][head]` holds for each query the keys up to it, in 255ths.
    """
    model = search.model
    ids = encode(search, text)
    reading = read_prompt(model, search.dictionaries, ids, target=target, measured=MEASURED)
    depths = [Site("resid_pre", 0), *(Site("resid_post", n) for n in range(model.n_layers))]
    patterns = [Site("pattern", n) for n in range(model.n_layers)]
    with torch.no_grad():
        run = model.run(torch.tensor([ids], device=model.device), capture={*depths, *patterns})
        assert run.logits is not None
        chances = run.logits[0, -1].float().softmax(-1)
        top = chances.topk(min(_NEXT, len(chances)))
        return {
            "tokens": ids,
            "next": _pairs(top.indices, top.values),
            "target": [reading.target, round(reading.probability, 4)],
            "families": {
                each.name: _firing([f for f in reading.firings if f.family == each.name], len(ids))
                for each in sorted(search.dictionaries, key=_depth)
            },
            "depths": [str(site) for site in depths],
            "lens": [_lens(model, run[site][0]) for site in depths],
            "attention": [_attention(run[site][0]) for site in patterns],
        }


def _depth(dictionary: Dictionary) -> tuple[int, bool, str]:
    """Where in the model it reads: the stream before the first block comes first of its layer."""
    first = dictionary.shape.reads[0]
    return first.layer or 0, first.kind != "resid_pre", first.kind


def _firing(firings: Sequence[Firing], positions: int) -> list[list[Shown]]:
    """For each token those shown, the strongest first; firings come by what they matter."""
    by_token: list[list[Firing]] = [[] for _ in range(positions)]
    for firing in firings:
        by_token[firing.position].append(firing)
    shown = []
    for own in by_token:
        strongest = sorted(own, key=lambda firing: -firing.activation)
        kept = {id(firing) for firing in [*strongest[:FIRING], *own[:MATTERING]]}
        shown.append([_shown(firing) for firing in strongest if id(firing) in kept])
    return shown


def _shown(firing: Firing) -> Shown:
    measured = None if firing.measured is None else round(firing.measured, 4)
    return [firing.unit, round(firing.activation, 4), round(firing.estimated, 4), measured]


def _lens(model: Model, stream: Float[Tensor, "pos d_model"]) -> list[list[list[float]]]:
    chances = model.unembed(stream.detach()).float().softmax(-1)
    top = chances.topk(min(LENS, chances.shape[-1]))
    return [_pairs(i, v) for i, v in zip(top.indices, top.values, strict=True)]


def _pairs(indices: Int[Tensor, " n"], values: Float[Tensor, " n"]) -> list[list[float]]:
    return [[i, round(v, 4)] for i, v in zip(indices.tolist(), values.tolist(), strict=True)]


def _attention(pattern: Float[Tensor, "head query key"]) -> list[list[list[int]]]:
    whole = (pattern.detach().float() * 255).round().int().tolist()
    return [[row[: query + 1] for query, row in enumerate(head)] for head in whole]
