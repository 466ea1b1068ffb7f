"""Train a reference model from its recipe, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from tomogram.reference.recipe import Recipe
from tomogram.store import progress
from tomogram.text.microworld.behaviours import COPYING_FIRST, MIXTURE
from tomogram.text.microworld.generate import MicroworldText, generate
from tomogram.text.microworld.vocabulary import tokenizer, vocabulary

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

DETERMINED_WEIGHT = 6.0
"""Words the text determines count so much more in the loss.

The weight depends on what came before alone, so the best prediction at every place is the same."""
LEARNING_RATE = {"muon": 0.02, "adam": 0.003}
BLOCK_TOKENS = 1 << 18
"""Tokens generated at once."""


def build(recipe: Recipe) -> LlamaForCausalLM:
    """An untrained model of the recipe's shape."""
    from transformers import LlamaConfig, LlamaForCausalLM

    ids = vocabulary(recipe.world)
    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=len(ids),
        hidden_size=recipe.width,
        intermediate_size=recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.context,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        pad_token_id=ids["<pad>"],
        bos_token_id=ids["<bos>"],
        eos_token_id=ids["<eos>"],
    )
    return LlamaForCausalLM(config)


def train(
    recipe: Recipe, watch: Callable[[LlamaForCausalLM, int], None] = lambda model, done: None
) -> LlamaForCausalLM:
    """Train from scratch on freshly generated text; no token is seen twice.

    `watch(model, tokens_done)` is called after every block of text.

    Hidden matrices by Muon (Jordan et al., 2024), embedding and norms by AdamW; bfloat16 matrix
    products; warm-up, then a linear descent to zero.
    """
    model = build(recipe)
    model.train()
    hidden = [p for n, p in model.named_parameters() if p.ndim == 2 and "layers" in n]
    others = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "layers" in n)]
    optimisers = {
        "muon": torch.optim.Muon(hidden, lr=LEARNING_RATE["muon"], weight_decay=0.01, ns_steps=4),
        "adam": torch.optim.AdamW(
            others, lr=LEARNING_RATE["adam"], betas=(0.9, 0.95), weight_decay=0.0
        ),
    }
    loss_of = torch.compile(_loss)
    total, done = recipe.short + recipe.long, 0
    with progress.task(f"train {recipe.name}", total=total, unit="tokens") as task:
        for text in _texts(recipe):
            rows = recipe.batch_tokens // text.text.context
            for start in range(0, text.text.rows - rows + 1, rows):
                rate = min(1.0, done / (0.02 * total)) * min(1.0, (total - done) / (0.8 * total))
                for name, optimiser in optimisers.items():
                    optimiser.param_groups[0]["lr"] = LEARNING_RATE[name] * rate
                loss = loss_of(model, *_batch(text, start, rows))
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                for optimiser in optimisers.values():
                    optimiser.step()
                    optimiser.zero_grad(set_to_none=True)
                done += recipe.batch_tokens
                task.advance(recipe.batch_tokens)
                task.note(f"loss {loss.item():.3f}")
                if not math.isfinite(loss.item()):
                    raise RuntimeError(f"training {recipe.name} diverged after {done} tokens")
            watch(model, done)
    return model.eval()


def _texts(recipe: Recipe) -> Iterator[MicroworldText]:
    """Blocks of fresh text: first one rich in copying, then short rows, then long ones."""
    block = 0
    for tokens, context, mixture in (
        (recipe.copying_first, 256, COPYING_FIRST),
        (recipe.short - recipe.copying_first, 256, MIXTURE),
        (recipe.long, recipe.context, MIXTURE),
    ):
        for start in range(0, tokens, BLOCK_TOKENS):
            size = min(BLOCK_TOKENS, tokens - start)
            seed = 1_000_000 * (recipe.seed + 1) + block
            yield generate(recipe.world, seed, size, context, mixture)
            block += 1


def _batch(
    text: MicroworldText, start: int, rows: int
) -> tuple[Int64[Tensor, "rows context"], Float[Tensor, "rows context"]]:
    tokens = torch.from_numpy(text.text.tokens[start : start + rows].astype("int64"))
    determined = torch.from_numpy(text.determined[start : start + rows])
    return tokens, 1.0 + (DETERMINED_WEIGHT - 1.0) * determined


def _loss(
    model: LlamaForCausalLM,
    tokens: Int64[Tensor, "rows context"],
    weights: Float[Tensor, "rows context"],
) -> Float[Tensor, ""]:
    with torch.autocast(tokens.device.type, torch.bfloat16):
        logits = model(tokens, use_cache=False).logits
    losses = F.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten(), reduction="none"
    )
    weights = weights[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum()


def save(model: LlamaForCausalLM, recipe: Recipe, folder: Path, dtype: torch.dtype) -> None:
    """Write weights, configuration and tokenizer as any Hugging Face model."""
    model.to(dtype).save_pretrained(folder)
    tokenizer(recipe.world).save_pretrained(folder)
