"""Runs under sparsify: applies the dictionaries it is given, and saves some of its own.

    python with_sparsify.py FOLDER

The files are those of with_sae_lens.py.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sparsify import SparseCoder, SparseCoderConfig

folder = Path(sys.argv[1])
x = load_file(folder / "x.safetensors")["x"]
found = {}
torch.manual_seed(1)
with torch.no_grad():
    for path in sorted((folder / "ours").iterdir()):
        found[path.name] = SparseCoder.load_from_disk(path)(x).sae_out
    new = {
        "layers.0": SparseCoderConfig(k=5, expansion_factor=4),
        "layers.1.mlp": SparseCoderConfig(k=5, expansion_factor=4, transcode=True),
        "layers.2.mlp": SparseCoderConfig(
            k=5, expansion_factor=4, transcode=True, skip_connection=True
        ),
    }
    for name, config in new.items():
        coder = SparseCoder(x.shape[1], config)
        for parameter in coder.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
        coder.save_to_disk(folder / "new" / name)
        found[f"new.{name}"] = coder(x).sae_out
save_file(
    {name: value.contiguous() for name, value in found.items()}, folder / "theirs.safetensors"
)
