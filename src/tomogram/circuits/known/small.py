"""Small: little GPT-2s trained for a task that is understood, shipped as float16.

`python -m benchmarks.circuits.train NAME` makes each of them again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from tomogram.circuits.known.parts import PLAIN
from tomogram.models.load import wrap
from tomogram.models.model import Model

WEIGHTS = Path(__file__).parent / "weights"
_SPREAD = 0.1
"""Standard deviation of weights at the start: GPT-2's own .02 is for widths of 768."""


@dataclass(frozen=True)
class Size:
    """How large a GPT-2 is: `hidden` neurons in each MLP, `width` of the stream.

    Raises:
        ValueError: a number is below 1, or heads do not divide the width.
    """

    vocabulary: int
    context: int
    width: int
    heads: int
    layers: int
    hidden: int

    def __post_init__(self) -> None:
        if min(asdict(self).values()) < 1 or self.width % self.heads:
            raise ValueError("sizes are positive, and heads divide the width")


def untrained(size: Size, seed: int) -> GPT2LMHeadModel:
    """A GPT-2 of a size with random weights, the same for the same seed."""
    config = GPT2Config(
        vocab_size=size.vocabulary,
        n_positions=size.context,
        n_embd=size.width,
        n_layer=size.layers,
        n_head=size.heads,
        n_inner=size.hidden,
        activation_function="gelu_new",
        initializer_range=_SPREAD,
        **PLAIN,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPT2LMHeadModel(config)


def write(module: nn.Module, size: Size, path: Path) -> None:
    """Keep the weights as float16 in one file that says how large the model is."""
    tensors = {name: value.half().contiguous() for name, value in module.state_dict().items()}
    save_file(tensors, path, {"size": json.dumps(asdict(size))})


def read(name: str) -> Model:
    """One of the shipped models, computing in float32."""
    return read_file(WEIGHTS / f"{name}.safetensors", name=name)


def read_file(path: Path, *, name: str) -> Model:
    """A model that `write` kept."""
    with safe_open(path, "pt") as file:
        size = Size(**json.loads(file.metadata()["size"]))
        tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    module = untrained(size, 0)
    cast(nn.Module, module).load_state_dict(tensors, strict=True)
    return wrap(module, name=name)
