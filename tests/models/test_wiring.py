"""Recognition of structures, and refusal of what is not recognised."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf
from torch import nn

from tests.models.families import CONFIGS, build
from tomogram.models.wiring import matrix, wire
from tomogram.store.errors import TomogramError

_STRUCTURE = {
    "gpt2": "gpt2",
    "gpt-neox-parallel": "gpt_neox",
    "gpt-neo": "gpt_neo",
    "opt": "opt",
    "phi3": "llama",
    "qwen3-moe-mixed": "llama",
    "gemma3": "gemma",
    "olmo2": "olmo2",
}


@pytest.mark.parametrize(("family", "structure"), _STRUCTURE.items())
def test_each_family_fits_its_structure_without_weights(family: str, structure: str) -> None:
    with torch.device("meta"):
        module = hf.AutoModelForCausalLM.from_config(CONFIGS[family]())
    assert wire(module).structure.name == structure


def test_an_unknown_part_of_a_block_is_named() -> None:
    module: Any = build(CONFIGS["llama"]())
    module.model.layers[1].memory = nn.Linear(3, 3)
    with pytest.raises(TomogramError, match=r"'model\.layers\.1\.memory' could not be recognised"):
        wire(module)


def test_a_missing_part_is_named() -> None:
    module: Any = build(CONFIGS["llama"]())
    del module.model.layers[2].mlp.down_proj
    with pytest.raises(TomogramError, match=r"no module 'model\.layers\.2\.mlp\.down_proj'"):
        wire(module)


def test_norms_on_the_residual_stream_itself_are_refused() -> None:
    """As in OPT-350m, where resid_pre + attn_out is normalised before anything reads it."""
    config = CONFIGS["opt"]()
    config.do_layer_norm_before = False
    with pytest.raises(TomogramError, match="self_attn_layer_norm"):
        wire(build(config))


def test_a_family_outside_the_table_is_refused_in_one_sentence() -> None:
    config = hf.BloomConfig(vocab_size=50, hidden_size=16, n_layer=2, n_head=2)
    with pytest.raises(TomogramError, match=r"^BloomForCausalLM is not supported: .*\.$"):
        wire(build(config))


def test_a_block_of_experts_has_no_neurons() -> None:
    blocks = wire(build(CONFIGS["qwen3-moe-mixed"]())).blocks
    assert [block.neurons_to_stream is None for block in blocks] == [True, False, True]


def test_matrix_is_applied_from_the_right_whatever_the_module() -> None:
    x = torch.randn(5, 4)
    linear, conv = nn.Linear(4, 3, bias=False), hf.pytorch_utils.Conv1D(3, 4)
    for module in (linear, conv):
        torch.testing.assert_close(x @ matrix(module), module(x))
    with pytest.raises(TomogramError):
        matrix(nn.Bilinear(2, 2, 2))
