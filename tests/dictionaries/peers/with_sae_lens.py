"""Runs under SAELens: applies the dictionaries it is given, and saves some of its own.

    python with_sae_lens.py FOLDER

FOLDER/x.safetensors holds `x`; every folder in FOLDER/ours is loaded and FOLDER/theirs.safetensors
gets its reconstructions of x; FOLDER/new gets dictionaries of its own, and their reconstructions
stand under `new.NAME`.
"""

import sys
from pathlib import Path

import torch
from sae_lens import SAE, StandardSAE, StandardSAEConfig, TopKSAE, TopKSAEConfig
from sae_lens.saes.gated_sae import GatedSAE, GatedSAEConfig
from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
from safetensors.torch import load_file, save_file

folder = Path(sys.argv[1])
x = load_file(folder / "x.safetensors")["x"]
found = {}
torch.manual_seed(1)
with torch.no_grad():
    for path in sorted((folder / "ours").iterdir()):
        found[path.name] = SAE.load_from_disk(path)(x)
    sizes = {"d_in": x.shape[1], "d_sae": 4 * x.shape[1]}
    new = {
        "standard": StandardSAE(StandardSAEConfig(**sizes)),
        "subtracting": StandardSAE(StandardSAEConfig(**sizes, apply_b_dec_to_input=True)),
        "topk": TopKSAE(TopKSAEConfig(**sizes, k=5)),
        "rescaled": TopKSAE(TopKSAEConfig(**sizes, k=5, rescale_acts_by_decoder_norm=True)),
        "jumprelu": JumpReLUSAE(JumpReLUSAEConfig(**sizes)),
        "gated": GatedSAE(GatedSAEConfig(**sizes)),
    }
    for name, sae in new.items():
        for parameter in sae.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
        sae.cfg.metadata.hook_name = "blocks.1.hook_resid_post"
        sae.save_model(folder / "new" / name)
        found[f"new.{name}"] = sae(x)
save_file(
    {name: value.contiguous() for name, value in found.items()}, folder / "theirs.safetensors"
)
