"""Verify the wiring at load: the captured parts must add up, or the model is refused.

A structure table can be wrong about a model in ways no path shows: a scaled residual, a norm in
another place, attention that bypasses the watched function. So a few random tokens are run with
everything captured, and each identity that defines a site is measured. Each comparison is of
vectors, position by position, relative to the size of what is added up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tomogram.models.model import Model, Run
from tomogram.models.sites import Site
from tomogram.models.wiring import Block
from tomogram.store.errors import TomogramError

_ROWS, _POSITIONS = 2, 12

# Rounding of a few additions and one long dot product, far below what a misplaced part would leave.
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


@dataclass(frozen=True, slots=True, eq=False)
class _Claim:
    """At `site`, the `parts` add up to `whole`."""

    site: Site
    text: str
    parts: tuple[Tensor, ...]
    whole: Tensor

    @property
    def error(self) -> float:
        """The largest relative distance over all positions; NaN counts as infinite."""
        parts = [part.double() for part in self.parts]
        size = sum(part.norm(dim=-1) for part in parts) + torch.finfo(torch.float32).tiny
        distance = (torch.stack(parts).sum(0) - self.whole.double()).norm(dim=-1)
        return float((distance / size).nan_to_num(torch.inf).max())


@torch.no_grad()
def verify(model: Model) -> None:
    """Check that what is captured is what the sites' definitions say.

    Raises:
        TomogramError: a capture changes the logits, a site is not reached, or parts do not add up;
            names the module and the site.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (_ROWS, min(_POSITIONS, model.context))
    tokens = torch.randint(model.d_vocab, shape, generator=generator)
    tokens %= model.module.get_input_embeddings().num_embeddings
    run = model.run(tokens, capture=model.sites)
    missed = [site for site in model.sites if site not in run.captured]
    if missed:
        _refuse(model, missed[0], "is never reached")
    if not torch.equal(run[Site("logits")], model.run(tokens).logits):
        _refuse(model, Site("logits"), "changes when the inside is captured")
    tolerance = _TOLERANCE[model.dtype]
    for claim in _claims(model, run):
        if claim.error > tolerance:
            _refuse(model, claim.site, f"does not hold: {claim.text} (error {claim.error:.1e})")


def _claims(model: Model, run: Run) -> Iterator[_Claim]:
    embedded = [run[Site("embed")]]
    if model.wiring.pos_embed is not None:
        embedded.append(run[Site("pos_embed")])
    first = Site("resid_pre", 0)
    yield _Claim(first, "the embeddings add up to it", tuple(embedded), run[first])
    for layer, block in enumerate(model.wiring.blocks):
        yield from _block_claims(run, layer, block)
    last = run[Site("resid_post", model.n_layers - 1)]
    final, logits = Site("final_norm"), Site("logits")
    yield _Claim(final, "it norms the last block's output", (model.wiring.final_norm(last),), run[final])
    yield _Claim(logits, "it unembeds the last block's output", (model.unembed(last),), run[logits])


def _block_claims(run: Run, layer: int, block: Block) -> Iterator[_Claim]:
    def at(kind: str) -> Tensor:
        return run[Site(kind, layer)]

    pre, mid, post = (Site(kind, layer) for kind in ("resid_pre", "resid_mid", "resid_post"))
    if layer > 0:
        before = run[Site("resid_post", layer - 1)]
        yield _Claim(pre, "it is the output of the block before", (before,), at("resid_pre"))
    if block.parallel:
        parts = (at("resid_pre"), at("attn_out"), at("mlp_out"))
        yield _Claim(post, "it is resid_pre + attn_out + mlp_out", parts, at("resid_post"))
    else:
        parts = (at("resid_pre"), at("attn_out"))
        yield _Claim(mid, "it is resid_pre + attn_out", parts, at("resid_mid"))
        parts = (at("resid_mid"), at("mlp_out"))
        yield _Claim(post, "it is resid_mid + mlp_out", parts, at("resid_post"))

    weights, values = at("pattern"), at("head_v")
    ones = torch.ones_like(weights[..., :1])
    yield _Claim(Site("pattern", layer), "its rows add up to 1", (weights.sum(-1, keepdim=True),), ones)
    values = values.repeat_interleave(weights.shape[1] // values.shape[2], dim=2)
    mixed = torch.einsum("bhqk,bkhz->bqhz", weights, values)
    yield _Claim(Site("head_z", layer), "it is the pattern times the values", (mixed,), at("head_z"))

    written = list(at("head_out").unbind(2))
    bias = getattr(block.heads_to_stream, "bias", None)
    if bias is not None:
        written.append(bias.expand_as(written[0]))
    whole = block.heads_to_stream(at("head_z").flatten(2))
    yield _Claim(Site("head_out", layer), "heads add up to attention's output", tuple(written), whole)
    posted = _through(block.attention_post_norm, whole)
    yield _Claim(Site("attn_out", layer), "it is attention's output", (posted,), at("attn_out"))
    if block.neurons_to_stream is not None:
        down = _through(block.mlp_post_norm, block.neurons_to_stream(at("neurons")))
        yield _Claim(Site("mlp_out", layer), "it is the neurons' output", (down,), at("mlp_out"))


def _through(norm: nn.Module | None, value: Tensor) -> Tensor:
    return value if norm is None else norm(value)


def _refuse(model: Model, site: Site, fault: str) -> None:
    where = ""
    if site.layer is not None:
        where = f" in '{model.wiring.name_of(model.wiring.blocks[site.layer].module)}'"
    raise TomogramError(
        f"{model.name} is not supported: the site {site}{where} {fault}"
        f" (structure '{model.structure.name}')."
    )
