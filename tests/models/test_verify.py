"""A wiring that is not what the table says is refused, by the site that does not add up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as hf

from tests.models.families import CONFIGS, LLAMA_LIKE, build
from tomogram.models.load import wrap
from tomogram.store.errors import TomogramError


def _scales_attention(module: Any) -> None:
    attention = module.model.layers[1].self_attn.o_proj
    attention.register_forward_hook(lambda _, args, output: output * 0.9)


def _scales_mlp(module: Any) -> None:
    norm = module.model.layers[1].post_attention_layernorm
    norm.register_forward_hook(lambda _, args, output: output)
    block = module.model.layers[1]
    block.register_forward_hook(lambda _, args, output: output * 1.05)


def _adds_between_blocks(module: Any) -> None:
    block = module.model.layers[2]
    block.register_forward_pre_hook(lambda _, args: (args[0] + 0.1, *args[1:]))


def _adds_to_the_embedding(module: Any) -> None:
    block = module.model.layers[0]
    block.register_forward_pre_hook(lambda _, args: (args[0] * 2, *args[1:]))


def _scales_the_logits(module: Any) -> None:
    def halve(_: Any, args: Any, output: Any) -> Any:
        output.logits = output.logits / 2
        return output

    module.register_forward_hook(halve)


@pytest.mark.parametrize(
    ("sabotage", "site"),
    [
        (_scales_attention, r"head_out\.1"),
        (_scales_mlp, r"resid_post\.1"),
        (_adds_between_blocks, r"resid_pre\.2"),
        (_adds_to_the_embedding, r"resid_pre\.0"),
        (_scales_the_logits, "logits"),
    ],
)
def test_a_deviation_is_found_where_it_is(sabotage: Callable[[Any], None], site: str) -> None:
    module = build(CONFIGS["llama"]())
    sabotage(module)
    with pytest.raises(TomogramError, match=f"the site {site} "):
        wrap(module, name="sabotaged")


def test_a_scaled_residual_is_refused_though_all_paths_fit() -> None:
    """Granite has Llama's modules but scales what blocks add."""
    config = hf.GraniteConfig(**LLAMA_LIKE, residual_multiplier=0.5)
    with pytest.raises(TomogramError, match=r"resid_mid\.0 in 'model\.layers\.0' does not hold"):
        wrap(build(config), name="granite")


def test_a_scaled_residual_is_refused_in_bfloat16_too() -> None:
    config = hf.GraniteConfig(**LLAMA_LIKE, residual_multiplier=0.5)
    with pytest.raises(TomogramError, match=r"resid_mid\.0"):
        wrap(build(config).bfloat16(), name="granite")


def test_a_final_norm_that_is_no_norm_is_refused() -> None:
    module: Any = build(CONFIGS["llama"]())
    module.model.norm.register_forward_hook(lambda _, args, output: output + 0.1 * args[0].tanh())
    with pytest.raises(TomogramError, match="final_norm does not hold: it is a norm"):
        wrap(module, name="bent")


def test_numbers_that_are_not_finite_are_refused_by_name() -> None:
    module: Any = build(CONFIGS["llama"]())
    with torch.no_grad():
        module.model.layers[0].mlp.up_proj.weight[3, 3] = torch.nan
    with pytest.raises(TomogramError, match=r"'model\.layers\.0\.mlp\.up_proj\.weight'"):
        wrap(module, name="damaged")


def test_a_dtype_nobody_verified_is_refused() -> None:
    with pytest.raises(TomogramError, match="float64"):
        wrap(build(CONFIGS["gpt2"]()).double(), name="double")
