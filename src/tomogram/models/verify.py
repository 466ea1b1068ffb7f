"""Verify the wiring at load: the captured parts must add up, or the model is refused.

A structure table can be wrong about a model in ways no path shows: a scaled residual, a norm in
another place, attention that bypasses the watched function. So a few random tokens are run with
everything captured, and each identity that defines a site is measured. Each comparison is of
vectors, position by position, relative to the size of what is added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tomogram.models.model import Model, Run
from tomogram.models.norm import bias, centres, gain
from tomogram.models.sites import Site
from tomogram.models.start import Start
from tomogram.models.wiring import Block
from tomogram.store.errors import TomogramError

_ROWS, _POSITIONS = 2, 12

# Rounding of a few additions and one long dot product, far below what a misplaced part would leave.
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}


@dataclass(frozen=True, slots=True, eq=False)
class _Claim:
    """At `site`, the `parts` add up to `whole`."""

    site: Site
    text: str
    whole: Tensor
    parts: Sequence[Tensor]

    @property
    def error(self) -> float:
        """The largest relative distance over all positions; NaN counts as infinite."""
        parts = torch.stack([part.double() for part in self.parts])
        size = parts.norm(dim=-1).sum(0).clamp(min=torch.finfo(torch.float32).tiny)
        distance = (parts.sum(0) - self.whole.double()).norm(dim=-1)
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
    tokens = torch.randint(model.wiring.n_embeddings, shape, generator=generator)
    run = model.run(tokens, capture=model.sites)
    missed = [site for site in model.sites if site not in run.captured]
    if missed:
        _refuse(model, missed[0], "is never reached")
    plain = model.module(input_ids=tokens.to(model.device), use_cache=False).logits
    if not torch.equal(run[Site("logits")], plain):
        _refuse(model, Site("logits"), "changes when the inside is captured")
    middle = Site("resid_post", (model.n_layers - 1) // 2)
    assert middle.layer is not None
    on = model.run(tokens, start=Start(middle.layer, run[middle])).logits
    if on is None or not torch.equal(on, plain):
        _refuse(model, middle, "is not all that the later blocks go on from")
    tolerance = _TOLERANCE.get(model.dtype)
    if tolerance is None:
        raise TomogramError(f"{model.name} is in {model.dtype}, not in float32 or bfloat16.")
    for claim in _claims(model, run):
        if claim.error > tolerance:
            _refuse(model, claim.site, f"does not hold: {claim.text} (error {claim.error:.1e})")


def _claims(model: Model, run: Run) -> Iterator[_Claim]:
    wiring = model.wiring
    first, final, logits = Site("resid_pre", 0), Site("final_norm"), Site("logits")
    embeds = [run[each] for each in (Site("embed"), Site("pos_embed")) if each in run.captured]
    yield _Claim(first, "the embeddings add up to it", run[first], embeds)
    for layer, block in enumerate(wiring.blocks):
        yield from _block_claims(run, layer, block)
    last = run[Site("resid_post", model.n_layers - 1)]
    yield _Claim(final, "it norms the last stream", run[final], [wiring.final_norm(last)])
    yield _Claim(final, "it is a norm with one gain", run[final], [_normed(model, last)])
    yield _Claim(logits, "it unembeds the last stream", run[logits], [model.unembed(last)])


def _block_claims(run: Run, layer: int, block: Block) -> Iterator[_Claim]:
    def at(kind: str) -> Tensor:
        return run[Site(kind, layer)]

    def claim(kind: str, text: str, *parts: Tensor, whole: Tensor | None = None) -> _Claim:
        return _Claim(Site(kind, layer), text, at(kind) if whole is None else whole, parts)

    pre, attn, mlp = at("resid_pre"), at("attn_out"), at("mlp_out")
    if layer > 0:
        before = run[Site("resid_post", layer - 1)]
        yield claim("resid_pre", "it is the output of the block before", before)
    if block.parallel:
        yield claim("resid_post", "it is resid_pre + attn_out + mlp_out", pre, attn, mlp)
    else:
        yield claim("resid_mid", "it is resid_pre + attn_out", pre, attn)
        yield claim("resid_post", "it is resid_mid + mlp_out", at("resid_mid"), mlp)

    weights, values = at("pattern"), at("head_v")
    sums = weights.sum(-1, keepdim=True)
    yield claim("pattern", "its rows add up to 1", sums, whole=torch.ones_like(sums))
    values = values.repeat_interleave(weights.shape[1] // values.shape[2], dim=2)
    mixed = torch.einsum("bhqk,bkhz->bqhz", weights, values)
    yield claim("head_z", "it is the pattern times the values", mixed)

    written = list(at("head_out").unbind(2))
    bias = getattr(block.heads_to_stream, "bias", None)
    if bias is not None:
        written.append(bias.expand_as(written[0]))
    attended = block.heads_to_stream(at("head_z").flatten(2))
    yield claim("head_out", "heads add up to attention's output", *written, whole=attended)
    yield claim(
        "attn_out", "it is what the heads write", _through(block.attention_post_norm, attended)
    )
    if block.neurons_to_stream is not None:
        down = _through(block.mlp_post_norm, block.neurons_to_stream(at("neurons")))
        yield claim("mlp_out", "it is what the neurons write", down)


def _normed(model: Model, resid: Tensor) -> Tensor:
    """The final norm from its measured gain and bias; only its scale is taken from the norm."""
    norm, width = model.wiring.final_norm, model.d_model
    shift = bias(norm, width).double()
    centre = resid.double().mean(-1, keepdim=True) if centres(norm, width) else 0
    direction = (resid.double() - centre) * gain(norm, width).double()
    along = (norm(resid).double() - shift) * direction
    scale = along.sum(-1, keepdim=True) / direction.square().sum(-1, keepdim=True)
    return scale * direction + shift


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
