"""Folding: a constant push becomes a bias, so that plain transformers loads the steered model.

A vector added at every token of a site of the residual stream is the same as a bias of the linear
map that wrote there last. Which families can hold one:

* GPT-2, GPT-NeoX, GPT-Neo, OPT have the bias;
* Llama and its like grow it by a switch of the configuration (`mlp_bias`, `attention_bias`), the
  other new biases being 0;
* Mistral and Qwen2 have no such switch, but without a sliding window they compute what a Llama
  computes, and are saved as one;
* a push on the embeddings goes into the table of positions, or into that of the tokens where it is
  not the unembedding as well.

A norm behind the map (Gemma, OLMo 2) or a mixture of experts leaves no place for a bias.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.models.wiring import Wiring, wire
from tomogram.steering.edits import Add, Edit
from tomogram.steering.positions import everywhere
from tomogram.steering.steered import steered
from tomogram.store.atomic import replacing_folder, write_json
from tomogram.store.errors import TomogramError

SWITCHES = ("mlp_bias", "attention_bias")
"""Switches of configurations that give linear maps a bias."""

LLAMA_TWINS = ("mistral", "qwen2")
"""Families that compute what a Llama computes where no window slides."""

TOLERANCE = 1e-3
"""Largest difference of logits, as a share of their spread, that float32 sums may leave."""


def save_steered(model: Model, edits: Sequence[Edit], folder: str | Path) -> Path:
    """Save a model with constant pushes folded in, as plain transformers loads it.

    The saved model is loaded again by transformers alone and its logits are held against those of
    the steered one, before the folder appears. `steering.json` in it says what was folded in.

    Raises:
        TomogramError: an edit is no constant push at every token; the model's family has no place
            for it; or what was saved does not compute the same.
    """
    pushes = _pushes(edits)
    model.check_sites(pushes)
    module = folded(model, pushes)
    target = Path(folder)
    with replacing_folder(target) as temporary:
        module.save_pretrained(temporary)
        if model.tokenizer is not None:
            model.tokenizer.save_pretrained(temporary)
        _check(model, edits, temporary)
        write_json(
            temporary / "steering.json",
            {
                "model": model.name,
                "digest": model.digest,
                "pushes": [
                    {"site": str(site), "norm": round(float(push.norm()), 6)}
                    for site, push in pushes.items()
                ],
                "targets": [target.name for edit in edits for target in edit.targets],
            },
        )
    return target


def folded(model: Model, pushes: dict[Site, Float[Tensor, " d_model"]]) -> PreTrainedModel:
    """A new module that adds a vector at each site, by its weights alone.

    Raises TomogramError where the model's family has no place for one of them.
    """
    reason = ""
    for config in _configs(model):
        module = _rebuilt(model, config)
        if module is None:
            continue
        wiring = wire(module)
        try:
            for site, push in pushes.items():
                with torch.no_grad():
                    _fold(wiring, site, push.to(model.device))
            return module
        except TomogramError as error:
            # The plain configuration's reason is the one a reader knows.
            reason = reason or str(error)
    raise TomogramError(f"{model.name} cannot hold this: {reason}")


def _pushes(edits: Sequence[Edit]) -> dict[Site, Tensor]:
    """What is added at each site in all."""
    found: dict[Site, Tensor] = {}
    for edit in edits:
        constant = edit.constant
        if constant is None or edit.where is not everywhere:
            kind = "" if isinstance(edit.rule, Add) else f" ({type(edit.rule).__name__})"
            raise TomogramError(
                "Only what is added at every token can be saved as weights; an edit that depends on"
                f" the text or the position cannot{kind}."
            )
        found[edit.write] = found[edit.write] + constant if edit.write in found else constant
    if not found:
        raise TomogramError("There is no edit to save.")
    return found


def _configs(model: Model) -> Iterator[Any]:
    """Configurations that may hold the push, the model's own first."""
    own = model.module.config
    yield own
    for config in (own, _as_llama(own)):
        switches = [name for name in SWITCHES if getattr(config, name, None) is False]
        # One switch alone first: fewer new weights.
        for names in (*([name] for name in switches), switches):
            if names:
                changed = copy.deepcopy(config)
                for name in names:
                    setattr(changed, name, True)
                yield changed


def _as_llama(config: Any) -> Any:
    """The configuration of the Llama that computes the same; None where there is none."""
    sliding = getattr(config, "sliding_window", None) is not None and getattr(
        config, "use_sliding_window", True
    )
    if config.model_type not in LLAMA_TWINS or sliding:
        return None
    kept = {
        key: value
        for key, value in config.to_dict().items()
        if key in LlamaConfig().to_dict() and key not in ("model_type", "architectures")
    }
    # Both kinds of biases: Qwen2 has some of attention's.
    twin = LlamaConfig(**kept)
    twin.attention_bias = config.model_type == "qwen2"
    return twin


def _rebuilt(model: Model, config: Any) -> PreTrainedModel | None:
    """The same weights under a configuration, new biases 0; None where they do not fit."""
    config = copy.deepcopy(config)
    module = cast(
        PreTrainedModel,
        AutoModelForCausalLM.from_config(config, dtype=model.dtype, trust_remote_code=False),
    )
    missing, unexpected = module.load_state_dict(model.module.state_dict(), strict=False)
    if unexpected or not all(name.endswith(".bias") for name in missing):
        return None
    with torch.no_grad():
        for name in missing:
            module.get_parameter(name).zero_()
    module.tie_weights()
    generation = getattr(model.module, "generation_config", None)
    if generation is not None:
        module.generation_config = copy.deepcopy(generation)
    return cast(PreTrainedModel, module.to(model.device).eval().requires_grad_(False))  # type: ignore[arg-type]


def _fold(wiring: Wiring, site: Site, push: Float[Tensor, " d_model"]) -> None:
    """Add a vector to the weights that write a site."""
    kind, layer = site.kind, site.layer
    if kind == "resid_pre" and layer:
        kind, layer = "resid_post", layer - 1
    if kind in ("embed", "pos_embed") or (kind == "resid_pre" and layer == 0):
        _fold_embedding(wiring, push)
    elif kind in ("resid_post", "mlp_out"):
        block = wiring.blocks[layer or 0]
        _fold_map(block.neurons_to_stream, block.mlp_post_norm, site, "MLP", push)
    elif kind in ("resid_mid", "attn_out"):
        block = wiring.blocks[layer or 0]
        _fold_map(block.heads_to_stream, block.attention_post_norm, site, "attention", push)
    else:
        raise TomogramError(f"{site} is no place of the residual stream.")


def _fold_map(
    linear: nn.Module | None, norm: nn.Module | None, site: Site, part: str, push: Tensor
) -> None:
    if linear is None:
        raise TomogramError(f"what writes {site} is a mixture of experts, which has no bias.")
    if norm is not None:
        raise TomogramError(f"a norm stands between the {part} and {site}, so a bias would change.")
    bias = getattr(linear, "bias", None)
    if bias is None:
        raise TomogramError(
            f"the {part} that writes {site} has no bias, and no switch of the configuration gives"
            " it one."
        )
    bias.add_(push.to(bias.dtype))


def _fold_embedding(wiring: Wiring, push: Tensor) -> None:
    table = wiring.pos_embed
    if table is None:
        table = wiring.embed
        tied = (
            cast(Tensor, table.weight).data_ptr() == cast(Tensor, wiring.unembed.weight).data_ptr()
        )
        if tied or wiring.project_in is not None:
            raise TomogramError("its embedding is its unembedding as well, which would change too.")
    weight = cast(Tensor, table.weight)
    weight.add_(push.to(weight.dtype))


@torch.no_grad()
def _check(model: Model, edits: Sequence[Edit], folder: Path) -> None:
    """Hold what transformers loads from the folder against the steered model."""
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=model.dtype, local_files_only=True, trust_remote_code=False
    )
    loaded = loaded.to(model.device).eval()
    generator = torch.Generator().manual_seed(0)
    length = min(24, model.context)
    tokens = torch.randint(model.wiring.n_embeddings, (2, length), generator=generator)
    tokens = tokens.to(model.device)
    with steered(model, *edits):
        expected = model.run(tokens).logits
    assert expected is not None
    got = loaded(input_ids=tokens, use_cache=False).logits
    # Numbers of 8 bits of mantissa leave differences 2^16 times as large.
    allowed = TOLERANCE if model.dtype == torch.float32 else 50 * TOLERANCE
    worst = float((got - expected).float().abs().max() / expected.float().std())
    if not worst <= allowed:
        raise TomogramError(
            f"{model.name} cannot hold this: what was saved differs from the steered model by"
            f" {worst:.2g} of the logits' spread."
        )
