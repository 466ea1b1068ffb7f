"""Runs under SAELens: applies Gemma Scope dictionaries that lie in a cache of the Hub.

    HF_HUB_OFFLINE=1 HF_HUB_CACHE=FOLDER/hub python gemma_scope_with_sae_lens.py FOLDER

The files are those of with_sae_lens.py; names in FOLDER/theirs.safetensors are `res` and
`transcoders`.
"""

import sys
from pathlib import Path

import torch
from sae_lens import SAE
from sae_lens.loading.pretrained_sae_loaders import (
    gemma_2_sae_huggingface_loader,
    gemma_2_transcoder_huggingface_loader,
)
from safetensors.torch import load_file, save_file

folder = Path(sys.argv[1])
x = load_file(folder / "x.safetensors")["x"]
# The loaders take the sizes from the names of the real models.
SIZES = {"d_in": x.shape[1], "d_sae": 4 * x.shape[1]}
LOADERS = {
    "res": (gemma_2_sae_huggingface_loader, SIZES),
    "transcoders": (gemma_2_transcoder_huggingface_loader, SIZES | {"d_out": x.shape[1]}),
}


def with_sizes(loader, sizes):
    def load(**options):
        return loader(**options | {"cfg_overrides": options["cfg_overrides"] | sizes})

    return load


found = {}
with torch.no_grad():
    for part, (loader, sizes) in LOADERS.items():
        repository = f"google/gemma-scope-2b-pt-{part}"
        snapshot = next((folder / "hub").glob(f"models--google--*-{part}/snapshots/*"))
        params = next(snapshot.rglob("params.npz"))
        sae = SAE.from_pretrained(
            repository,
            str(params.parent.relative_to(snapshot)),
            converter=with_sizes(loader, sizes),
        )
        found[part] = sae(x)
save_file(
    {name: value.contiguous() for name, value in found.items()}, folder / "theirs.safetensors"
)
