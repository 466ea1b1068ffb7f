"""Prompt: which features fire at each token of a text and matter for what comes next, what the
stream says at each depth, and where each head looks."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError
from tomogram.text.packing import opening_token
from tomogram.viewer.live import Live

MOST_TOKENS = 96
FIRING = 12
"""Features shown a token and dictionary, those that fire most strongly."""
LENS = 3
_NEXT = 8


def encode(model: Model, text: str, most: int = MOST_TOKENS) -> list[int]:
    """The tokens of a text as the model reads it, opened as a document is.

    Raises:
        TomogramError: the model has no tokenizer, or the text is empty or too long.
    """
    if model.tokenizer is None:
        raise TomogramError("The model has no tokenizer, so it cannot read a text.")
    opening = opening_token(model.tokenizer)
    ids = list(model.tokenizer(text, add_special_tokens=False, verbose=False).input_ids)
    tokens = ([] if opening is None else [opening]) + ids
    if not ids:
        raise TomogramError("Type a text of at least one token.")
    most = min(most, model.context)
    if len(tokens) > most:
        raise TomogramError(f"The text has {len(tokens)} tokens; this page reads at most {most}.")
    return tokens


def read_prompt(live: Live, text: str) -> dict[str, Any]:
    """What the pages show of one text.

    How much a feature matters is its direct and indirect effect on the likeliest next token's
    logit, less the mean logit, to first order: activation · decoder row · gradient (attribution
    patching, Nanda 2023). Reconstruction errors and everything else stay as they are.

    Returns:
        JSON. `tokens` are ids; `families[name]` has for each token up to `FIRING` features as
        [unit, activation, effect]; `lens[depth][position]` has `LENS` pairs [id, probability];
        `attention[layer][head]` holds for each query the keys up to it, in 255ths.
    """
    model = live.model
    ids = encode(model, text)
    tokens = torch.tensor([ids], device=model.device)
    depths = [Site("resid_pre", 0), *(Site("resid_post", n) for n in range(model.n_layers))]
    patterns = [Site("pattern", n) for n in range(model.n_layers)]
    found = live.dictionaries
    places = {site for d in found.values() for site in (d.read, d.write)}
    with torch.enable_grad():
        run = model.run(
            tokens,
            capture={*depths, *patterns, *places},
            interventions={Site("embed"): lambda x: x.requires_grad_(True)},
        )
        assert run.logits is not None
        last = run.logits[0, -1].float()
        target = int(last.argmax())
        writes = list({d.write for d in found.values()})
        gradients = torch.autograd.grad(
            last[target] - last.mean(), [run[s] for s in writes], allow_unused=True
        )
    gradient = dict(zip(writes, gradients, strict=True))
    with torch.no_grad():
        families = {
            name: _firing(dictionary, run[dictionary.read][0], gradient[dictionary.write])
            for name, dictionary in found.items()
        }
        chances = last.detach().softmax(-1).topk(min(_NEXT, len(last)))
        return {
            "tokens": ids,
            "next": _pairs(chances.indices, chances.values),
            "families": families,
            "depths": [str(site) for site in depths],
            "lens": [_lens(model, run[site][0]) for site in depths],
            "attention": [_attention(run[site][0]) for site in patterns],
        }


def _firing(
    dictionary: Dictionary, x: Float[Tensor, "pos d_in"], gradient: Tensor | None
) -> list[list[list[float]]]:
    weights = dictionary.W_dec
    latents = dictionary.encode(x.detach().to(weights.dtype))
    shown = []
    for position in range(len(x)):
        values, indices = latents.values[position], latents.indices[position]
        kept = values > 0
        values, indices = values[kept], indices[kept]
        if gradient is None:
            effect = torch.zeros_like(values)
        else:
            effect = values * (weights[indices] @ gradient[0, position].to(weights.dtype))
        # The strongest, and those that matter most.
        order = torch.cat(
            [values.argsort(descending=True)[:FIRING], effect.abs().argsort(descending=True)[:4]]
        ).unique()
        order = order[values[order].argsort(descending=True)]
        columns = (indices[order].tolist(), values[order].tolist(), effect[order].tolist())
        shown.append([[u, round(a, 4), round(e, 4)] for u, a, e in zip(*columns, strict=True)])
    return shown


def _lens(model: Model, stream: Float[Tensor, "pos d_model"]) -> list[list[list[float]]]:
    chances = model.unembed(stream.detach()).float().softmax(-1)
    top = chances.topk(min(LENS, chances.shape[-1]))
    return [_pairs(i, v) for i, v in zip(top.indices, top.values, strict=True)]


def _pairs(indices: Int[Tensor, " n"], values: Float[Tensor, " n"]) -> list[list[float]]:
    return [[i, round(v, 4)] for i, v in zip(indices.tolist(), values.tolist(), strict=True)]


def _attention(pattern: Float[Tensor, "head query key"]) -> list[list[list[int]]]:
    whole = (pattern.detach().float() * 255).round().int().tolist()
    return [[row[: query + 1] for query, row in enumerate(head)] for head in whole]
