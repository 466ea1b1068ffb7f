"""Harvest: tokens a second to shards, as a fraction of the bare forward pass.

The model is stories15M (a random one of its shape where that is absent), the sites are all of the
residual stream and the MLP, and the bare forward pass is transformers' own over the same batches,
without the unembedding. The two are timed in turns, so that both meet the same machine.

    python -m benchmarks.harvest [--json] [--quick]
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Figure, main, ratio
from tomogram.activations.harvest import BATCH_TOKENS, harvest
from tomogram.models.load import load, wrap
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.text.packing import PackedText

STORIES = Path(__file__).resolve().parents[2] / "shared" / "models" / "stories15M"
KINDS = ("resid_mid", "mlp_in", "neurons", "mlp_out", "resid_post")
"""With resid_pre.0 these are all of them: resid_pre of a later layer is resid_post before it."""

CONTEXT = 256
TARGET = 0.90


def measure(quick: bool) -> dict[str, Figure]:
    """Time both in turns; the figures are harvest / bare in tokens a second, and both rates."""
    model = subject()
    sites = [Site("resid_pre", 0), *(site for site in model.sites if site.kind in KINDS)]
    text = random_text(model, tokens=4_096 if quick else 16_384)
    pairs = 2 if quick else 15
    bare, narrow = in_turns(model, text, sites, "bfloat16", pairs)
    wide_bare, wide = in_turns(model, text, sites, "float32", pairs)
    return {
        "harvest_of_bare_forward": ratio(bare, narrow, TARGET),
        "harvest_float32_of_bare_forward": ratio(wide_bare, wide),
        "bare_tokens_per_second": Figure(text.n_tokens / float(np.median(bare))),
        "harvest_tokens_per_second": Figure(text.n_tokens / float(np.median(narrow))),
    }


def in_turns(
    model: Model, text: PackedText, sites: list[Site], dtype: str, pairs: int
) -> tuple[list[float], list[float]]:
    """Seconds of the bare forward pass and of the harvest, pair by pair."""
    bare: list[float] = []
    harvested: list[float] = []
    with tempfile.TemporaryDirectory(prefix="harvest-") as parent:
        folder = Path(parent, "harvest")
        harvest(model, text, sites, folder, dtype=dtype)  # warms up allocator and file system
        for _ in range(pairs):
            bare.append(timed(forward, model, text))
            # Removed only now, and no more than a second's work: a virtual machine soon hands
            # free memory back to its host, and getting it again would be charged to the harvest.
            shutil.rmtree(folder)
            harvested.append(timed(harvest, model, text, sites, folder, dtype=dtype))
    return bare, harvested


def subject() -> Model:
    """stories15M, or a random model of its shape."""
    if STORIES.exists():
        return load(STORIES)
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=288,
        intermediate_size=768,
        num_hidden_layers=6,
        num_attention_heads=6,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
    )
    return wrap(LlamaForCausalLM(config), name="random stories15M")


def random_text(model: Model, tokens: int) -> PackedText:
    """Tokens at random: the time of neither depends on which they are."""
    shape = (tokens // CONTEXT, CONTEXT)
    ids = np.random.default_rng(0).integers(0, model.d_vocab, shape, dtype=np.int32)
    return PackedText(ids, np.zeros(shape, dtype=np.int32))


def forward(model: Model, text: PackedText) -> None:
    """The bare forward pass, in the batches that harvest makes."""
    rows = BATCH_TOKENS["cpu"] // CONTEXT
    tokens = torch.from_numpy(text.tokens.astype(np.int64))
    with torch.no_grad():
        for batch in tokens.split(rows):
            model.module.base_model(input_ids=batch, use_cache=False)


def timed(work: Callable[..., object], *arguments: object, **options: object) -> float:
    """Seconds a call takes."""
    start = time.perf_counter()
    work(*arguments, **options)
    return time.perf_counter() - start


if __name__ == "__main__":
    main("harvest", measure)
