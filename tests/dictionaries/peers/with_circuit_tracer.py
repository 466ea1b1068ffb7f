"""Runs under circuit-tracer: applies the transcoders it is given, and saves some of its own.

    python with_circuit_tracer.py FOLDER

FOLDER/ours is one set of transcoders, FOLDER/new gets another; reconstructions as in
with_sae_lens.py, under the names `layer_0`, `new.layer_0` ...
"""

import sys
from pathlib import Path

import torch
from circuit_tracer.transcoder.activation_functions import JumpReLU
from circuit_tracer.transcoder.single_layer_transcoder import (
    SingleLayerTranscoder,
    load_relu_transcoder,
)
from safetensors.torch import load_file, save_file

folder = Path(sys.argv[1])
x = load_file(folder / "x.safetensors")["x"]
width = x.shape[1]
cpu = torch.device("cpu")
found = {}
torch.manual_seed(1)
with torch.no_grad():
    for layer, path in enumerate(sorted((folder / "ours").glob("layer_*.safetensors"))):
        transcoder = load_relu_transcoder(
            str(path), layer, cpu, lazy_encoder=False, lazy_decoder=False
        )
        found[path.stem] = transcoder(x)
    (folder / "new").mkdir()
    for layer, activation in enumerate([torch.relu, JumpReLU(torch.rand(4 * width), 0.1)]):
        transcoder = SingleLayerTranscoder(
            width, 4 * width, activation, layer, skip_connection=True, device=cpu,
            dtype=torch.float32,
        )  # fmt: skip
        for name, parameter in transcoder.named_parameters():
            if "threshold" not in name:
                parameter.copy_(0.3 * torch.randn_like(parameter))
        transcoder.to_safetensors(str(folder / "new" / f"layer_{layer}.safetensors"))
        found[f"new.layer_{layer}"] = transcoder(x)
(folder / "new" / "config.yaml").write_text(
    "model_kind: transcoder_set\n"
    "feature_input_hook: mlp.hook_in\n"
    "feature_output_hook: mlp.hook_out\n"
)
save_file(
    {name: value.contiguous() for name, value in found.items()}, folder / "theirs.safetensors"
)
