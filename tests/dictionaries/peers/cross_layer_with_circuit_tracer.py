"""Runs under circuit-tracer: applies the cross-layer transcoder it is given, and saves its own.

    python cross_layer_with_circuit_tracer.py FOLDER

The files are those of with_sae_lens.py, FOLDER/ours being one transcoder of two layers, the second
of which reads the rows of x in reverse order; both layers' outputs stand side by side.
"""

import sys
from pathlib import Path

import torch
from circuit_tracer.transcoder.cross_layer_transcoder import CrossLayerTranscoder, load_clt
from safetensors.torch import load_file, save_file

folder = Path(sys.argv[1])
x = load_file(folder / "x.safetensors")["x"]
both = torch.stack([x, x.flip(0)])
options = {"device": torch.device("cpu"), "dtype": torch.float32, "lazy_decoder": False}


def apply(transcoder):
    # Its own forward forgets to hand the input to a skip path.
    return torch.cat(list(transcoder.decode(transcoder.encode(both).to_sparse(), both)), dim=1)


found = {}
torch.manual_seed(1)
with torch.no_grad():
    given = load_clt(str(folder / "ours"), **options)
    # Its loader passes over skip paths; its class has a place for them.
    files = [load_file(folder / "ours" / f"W_enc_{i}.safetensors") for i in range(2)]
    if "W_skip_0" in files[0]:
        skips = [file[f"W_skip_{i}"] for i, file in enumerate(files)]
        given.W_skip = torch.nn.Parameter(torch.stack(skips))
    found["ours"] = apply(given)
    for activation in ("relu", "jump_relu"):
        own = CrossLayerTranscoder(2, 4 * x.shape[1], x.shape[1], activation, **options)
        for name, parameter in own.named_parameters():
            values = 0.3 * torch.randn_like(parameter)
            parameter.copy_(values.abs() if "threshold" in name else values)
        own.to_safetensors(str(folder / "new" / activation))
        found[f"new.{activation}"] = apply(own)
save_file(
    {name: value.contiguous() for name, value in found.items()}, folder / "theirs.safetensors"
)
