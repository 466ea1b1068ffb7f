"""The model: one frozen object to run, read and change a decoder with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from tomogram.models.capture import AllCaptured, Intervention, Tape, hooked
from tomogram.models.norm import gain
from tomogram.models.packing import Layout
from tomogram.models.sites import LAYER_KINDS, Site
from tomogram.models.start import Start, started
from tomogram.models.structure import Structure
from tomogram.models.wiring import Wiring, matrix
from tomogram.store.errors import TomogramError


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What one forward pass gave: `run.logits`, and `run[site]` for each captured site."""

    logits: Float[Tensor, "batch pos d_vocab"] | None
    captured: Mapping[Site, Tensor]

    def __getitem__(self, site: Site) -> Tensor:
        return self.captured[site]


@dataclass(frozen=True, eq=False)
class Model:
    """A decoder-only language model whose wiring has been verified.

    Args:
        module: the Hugging Face module, in evaluation mode, without gradients of its weights.
        tokenizer: the Hugging Face tokenizer, or None where the source has none.
        wiring: its parts.
        name: what the source is called.
        digest: SHA-256 (hexadecimal) over its weights and its configuration.
        stored_as: in how few bits the weights were stored; empty where that is no fewer than usual.
    """

    module: PreTrainedModel
    tokenizer: Any
    wiring: Wiring
    name: str
    digest: str
    stored_as: str = ""

    @property
    def structure(self) -> Structure:
        """The row of the structure table this model fits."""
        return self.wiring.structure

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.module.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the weights."""
        return next(self.module.parameters()).dtype

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return len(self.wiring.blocks)

    @property
    def n_heads(self) -> int:
        """Number of query heads of a block."""
        return int(self.module.config.num_attention_heads)

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self.module.config.hidden_size)

    @property
    def d_mlp(self) -> int | None:
        """Number of neurons of an MLP; None where no block has any (a mixture of experts)."""
        downs = [block.neurons_to_stream for block in self.wiring.blocks]
        return next((matrix(down).shape[0] for down in downs if down is not None), None)

    @property
    def d_vocab(self) -> int:
        """Number of logits."""
        return int(matrix(self.wiring.unembed).shape[1])

    @property
    def context(self) -> int:
        """The most positions the model reads at once."""
        return int(self.module.config.max_position_embeddings)

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """All sites this model has, in the order the forward pass reaches them."""
        first = ["embed"] + ["pos_embed"] * (self.wiring.pos_embed is not None)
        inner = [
            Site(kind, layer)
            for layer, block in enumerate(self.wiring.blocks)
            for kind in LAYER_KINDS
            if not (kind == "resid_mid" and block.parallel)
            and not (kind == "neurons" and block.neurons_to_stream is None)
        ]
        return (*map(Site, first), *inner, Site("final_norm"), Site("logits"))

    def run(
        self,
        tokens: Int[Tensor, "batch pos"],
        *,
        capture: Iterable[Site] = (),
        interventions: Mapping[Site, Intervention] | None = None,
        logits: bool = True,
        start: Start | None = None,
        layout: Layout | None = None,
    ) -> Run:
        """Run the model once, without a key-value cache.

        Gradients are kept exactly when the caller's grad mode says so; the weights never have any.

        A pattern and the outputs of heads are computed beside the forward; to differentiate by
        them, intervene with the identity and take the gradient by what is captured.

        Args:
            tokens: token ids of rows of equal length, on any device.
            capture: sites whose values to keep. A captured value is not copied: do not write to it.
            interventions: function by site; it is given a copy of the value there and returns the
                value to go on with. What is captured at its own site is what it returned.
            logits: False stops the forward after the last captured site, and gives no logits.
            start: a stream of these tokens to go on from; the blocks before it are not computed.
            layout: positions and attention of tokens that are a tree of sequences (`packing.pack`,
                which says whether this model reads one).

        Raises:
            TomogramError: the model lacks a site, or it lies before the start; the tokens are no
                [batch pos] of known ids within the context; an intervention returned another shape.
        """
        wanted = frozenset(capture)
        self.check_tokens(tokens, layout)
        self.check_sites((*wanted, *(interventions or ())))
        if not logits and not wanted:
            return Run(None, {})
        tape = Tape(wanted, interventions, stop_early=not logits)
        if start is not None:
            start.check(tape.sites, (*tokens.shape, self.d_model))
        words = {} if layout is None else layout.keywords(self.dtype, self.device)
        with started(self.wiring, start), hooked(self.wiring, tape, batch=tokens.shape[0]):
            try:
                output = self.module(input_ids=tokens.to(self.device), use_cache=False, **words)
            except AllCaptured:
                return Run(None, tape.captured)
        return Run(output.logits if logits else None, tape.captured)

    def unembed(
        self,
        resid: Float[Tensor, "*rows d_model"],
        vocabulary: Int[Tensor, " d_some"] | None = None,
    ) -> Float[Tensor, "*rows d_vocab"]:
        """Apply the final norm and the unembedding to a residual stream.

        On the last `resid_post` these are the model's logits; on an earlier one this is the logit
        lens (nostalgebraist 2020).

        Args:
            vocabulary: the token ids whose logits are wanted, in that order; all when None.
        """
        normed = self.wiring.final_norm(resid)
        if self.wiring.project_out is not None:
            normed = self.wiring.project_out(normed)
        unembed = self.wiring.unembed
        if vocabulary is None:
            scores = unembed(normed)
        else:
            bias = getattr(unembed, "bias", None)
            scores = normed @ matrix(unembed)[:, vocabulary]
            scores = scores if bias is None else scores + bias[vocabulary]
        softcap = getattr(self.module.config, "final_logit_softcapping", None)
        return scores if softcap is None else torch.tanh(scores / softcap) * softcap

    @property
    def unembedding(self) -> Float[Tensor, "d_model d_vocab"]:
        """The unembedding matrix with the final norm's gain folded in.

        A direction of the residual stream times this is what the direction adds to the logits, up
        to the norm's own scale (and its centring, in a layer norm).
        """
        weight = matrix(self.wiring.unembed)
        if self.wiring.project_out is not None:
            weight = matrix(self.wiring.project_out) @ weight
        return gain(self.wiring.final_norm, self.d_model)[:, None] * weight

    def check_tokens(self, tokens: Tensor, layout: Layout | None = None) -> None:
        """Raise a TomogramError unless tokens are [batch pos] of known ids within the context."""
        if tokens.ndim != 2 or tokens.is_floating_point() or 0 in tokens.shape:
            raise TomogramError(
                "Tokens must be whole numbers of shape [batch pos], at least one of each,"
                f" not {tokens.dtype} of shape {tuple(tokens.shape)}."
            )
        length = tokens.shape[1] if layout is None else int(layout.positions.max()) + 1
        if length > self.context:
            raise TomogramError(
                f"The text has {length} tokens; {self.name} reads at most {self.context}."
            )
        known = self.wiring.n_embeddings
        if int(tokens.min()) < 0 or int(tokens.max()) >= known:
            raise TomogramError(f"A token id is outside the vocabulary of {known} tokens.")

    def check_sites(self, sites: Iterable[Site]) -> None:
        """Raise a TomogramError naming the first site this model lacks."""
        for site in sites:
            if site not in self._site_set:
                raise TomogramError(f"{self.name} has no site {site}.")

    @cached_property
    def _site_set(self) -> frozenset[Site]:
        return frozenset(self.sites)
