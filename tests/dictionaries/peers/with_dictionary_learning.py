"""Runs under dictionary_learning: applies the dictionaries it is given, and trains some of its own.

    python with_dictionary_learning.py FOLDER

The files are those of with_sae_lens.py; FOLDER/new gets what the library's own trainers save.
"""

import sys
from pathlib import Path

import torch
from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
from dictionary_learning.trainers.gdm import GatedSAETrainer
from dictionary_learning.trainers.jumprelu import JumpReluTrainer
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKTrainer
from dictionary_learning.trainers.standard import StandardTrainer, StandardTrainerAprilUpdate
from dictionary_learning.trainers.top_k import TopKTrainer
from dictionary_learning.training import trainSAE
from dictionary_learning.utils import load_dictionary
from safetensors.torch import load_file, save_file

STEPS = 40

folder = Path(sys.argv[1])
x = load_file(folder / "x.safetensors")["x"]
torch.manual_seed(1)
common = {
    "steps": STEPS,
    "activation_dim": x.shape[1],
    "dict_size": 4 * x.shape[1],
    "layer": 1,
    "lm_name": "tiny",
    "lr": 0.01,
    "warmup_steps": 2,
    "device": "cpu",
    "submodule_name": "resid_post_layer_1",
}
penalised = {"sparsity_warmup_steps": 4}
top = {"k": 5, "threshold_start_step": 5}
nested = {"group_fractions": [0.25, 0.75]}
configurations = [
    common | penalised | {"trainer": StandardTrainer},
    common | penalised | {"trainer": StandardTrainerAprilUpdate},
    common | penalised | {"trainer": GatedSAETrainer},
    common | penalised | {"trainer": JumpReluTrainer},
    common | top | {"trainer": TopKTrainer},
    common | top | {"trainer": BatchTopKTrainer},
    common | top | nested | {"trainer": MatryoshkaBatchTopKTrainer},
]
batches = [3 * torch.randn(128, x.shape[1]) + 1 for _ in range(STEPS + 1)]
trainSAE(
    batches,
    configurations,
    steps=STEPS,
    save_dir=str(folder / "new"),
    normalize_activations=True,
    device="cpu",
)
found = {}
with torch.no_grad():
    for path in sorted((folder / "ours").iterdir()):
        found[path.name] = load_dictionary(str(path), "cpu")[0](x)
    for path in sorted((folder / "new").iterdir()):
        found[f"new.{path.name}"] = load_dictionary(str(path), "cpu")[0](x)
save_file(
    {name: value.detach().contiguous() for name, value in found.items()},
    folder / "theirs.safetensors",
)
