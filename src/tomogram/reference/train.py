"""Train a reference model from its recipe, and nothing else."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from tomogram.reference import looking_back
from tomogram.reference.recipe import Recipe
from tomogram.store import progress
from tomogram.store.atomic import writing
from tomogram.store.errors import TomogramError
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import COPYING_FIRST, MIXTURE
from tomogram.text.microworld.generate import MicroworldText, generate
from tomogram.text.microworld.vocabulary import tokenizer, vocabulary
from tomogram.text.microworld.world import World

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

DETERMINED_WEIGHT = 8.0
"""Words the text determines count so much more in the loss.

The weight depends on what came before alone, so the best prediction at every place is the same."""
LEARNING_RATE = {"muon": 0.02, "adam": 0.003}
WEIGHT_DECAY = 0.1
EMBEDDING = 1.0
"""Standard deviation of the first embeddings: a word stays the greatest part of its own stream."""
SHARED = 0.85
"""Share of the dimensions in which words that mean the same in the two languages are kept together.

Without it the two languages are learned side by side, and what is told in one is not known in the
other: a small model has no need to share. In the rest of the dimensions the words stay apart."""
TOGETHER = 2.0
"""Decay, like weight decay, of the difference in those dimensions of both embeddings."""
BLOCK_TOKENS = 1 << 18
"""Tokens generated at once."""


def untrained(recipe: Recipe) -> LlamaForCausalLM:
    """A model of the recipe's shape before training, the pair of heads that looks back sketched in.

    What writes into the residual stream starts smaller the more layers do (Radford et al. 2019,
    section 2.3), so that it does not drown the embedding.
    """
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
        tie_word_embeddings=False,
        attention_bias=True,
        rms_norm_eps=1e-5,
        pad_token_id=ids["<pad>"],
        bos_token_id=ids["<bos>"],
        eos_token_id=ids["<eos>"],
    )
    # In short rows on a CPU faster than the fused kernels.
    config._attn_implementation = "eager"
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.model.embed_tokens.weight.normal_(std=EMBEDDING)
        # What stands in the stream is at first what is said: heads that copy need that.
        model.lm_head.weight.copy_(0.02 * model.model.embed_tokens.weight)
        for layer in model.model.layers:
            for matrix in (layer.self_attn.o_proj.weight, layer.mlp.down_proj.weight):
                matrix.div_(math.sqrt(2 * recipe.layers))
            for bias in (layer.self_attn.q_proj.bias, layer.self_attn.k_proj.bias):
                bias.normal_(std=0.5)
    looking_back.plant(model, torch.Generator().manual_seed(recipe.seed))
    return model


def train(
    recipe: Recipe,
    watch: Callable[[LlamaForCausalLM, int], None] = lambda model, done: None,
    *,
    device: str = "cpu",
    checkpoint: Path | None = None,
) -> LlamaForCausalLM:
    """Train from scratch on freshly generated text; no token is seen twice.

    Hidden matrices by Muon (Jordan et al., 2024), the rest by AdamW; bfloat16 matrix
    products; warm-up, then a linear descent to zero. The same recipe gives the same bits on the
    same kind of machine with the same number of threads, interrupted or not.

    Args:
        watch: called with the model and the tokens done after every block of text.
        device: where to train, such as "cpu" or "cuda".
        checkpoint: a file that is written after every block of text. Where it is there already, and
            of the same recipe, training goes on from it.

    Raises:
        TomogramError: this torch has no Muon, or the checkpoint cannot be written.
    """
    model = untrained(recipe)
    cast(torch.nn.Module, model).to(device).train()
    optimisers = _optimisers(model)
    one, two = _same_meaning(recipe.world, device)
    begun = _resume(checkpoint, recipe, model, optimisers)
    loss_of = torch.compile(_loss) if _has_compiler() else _loss
    total, done = recipe.short + recipe.long, begun.tokens
    with progress.task(f"train {recipe.name}", total=total, unit="tokens", done=done) as task:
        for block, text in enumerate(_texts(recipe, begun.blocks), begun.blocks):
            rows = recipe.batch_tokens // text.text.context
            for start in range(0, text.text.rows - rows + 1, rows):
                rate = min(1.0, done / (0.02 * total)) * min(1.0, (total - done) / (0.8 * total))
                for name, optimiser in optimisers.items():
                    optimiser.param_groups[0]["lr"] = LEARNING_RATE[name] * rate
                tokens, weights = _batch(text, start, rows)
                loss = loss_of(model, tokens.to(device), weights.to(device))
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                for optimiser in optimisers.values():
                    optimiser.step()
                    optimiser.zero_grad(set_to_none=True)
                _pull_together(model, one, two, TOGETHER * LEARNING_RATE["adam"] * rate)
                done += recipe.batch_tokens
                task.advance(recipe.batch_tokens)
                task.note(f"loss {loss.item():.3f}")
                if not math.isfinite(loss.item()):
                    raise RuntimeError(f"training {recipe.name} diverged after {done} tokens")
            if checkpoint is not None:
                _keep(checkpoint, recipe, model, optimisers, _Progress(block + 1, done))
            watch(model, done)
    return model.eval()


def _same_meaning(
    world: World, device: str
) -> tuple[Int64[Tensor, " pair"], Int64[Tensor, " pair"]]:
    """Token ids of what means the same: every entity's two names, and words of sentences."""
    entities = [entity for kind in world.kinds for entity in world.of(kind)]
    pairs = [*((entity.english, entity.other) for entity in entities), *names.WORDS.items()]
    ids = vocabulary(world)
    one = torch.tensor([ids[english] for english, _ in pairs], device=device)
    two = torch.tensor([ids[other] for _, other in pairs], device=device)
    return one, two


@torch.no_grad()
def _pull_together(
    model: LlamaForCausalLM,
    one: Int64[Tensor, " pair"],
    two: Int64[Tensor, " pair"],
    share: float,
) -> None:
    """Shorten the way between these rows of both embeddings, in the shared dimensions."""
    width = round(SHARED * model.config.hidden_size)
    for embedding in (model.model.embed_tokens.weight, model.lm_head.weight):
        rows = embedding[:, :width]
        step = 0.5 * share * (rows[one] - rows[two])
        rows[one] -= step
        rows[two] += step


def _optimisers(model: LlamaForCausalLM) -> dict[str, torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for embedding, norms and biases."""
    if not hasattr(torch.optim, "Muon"):
        raise TomogramError(f"Training needs torch 2.9 or newer; this is {torch.__version__}.")
    hidden = [p for n, p in model.named_parameters() if p.ndim == 2 and "layers" in n]
    others = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "layers" in n)]
    return {
        "muon": torch.optim.Muon(
            hidden, lr=LEARNING_RATE["muon"], weight_decay=WEIGHT_DECAY, ns_steps=4
        ),
        "adam": torch.optim.AdamW(
            others, lr=LEARNING_RATE["adam"], betas=(0.9, 0.95), weight_decay=0.0
        ),
    }


def _has_compiler() -> bool:
    """Whether torch.compile can work: on a machine without a C++ compiler training is slower."""
    return any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++")))


@dataclass(frozen=True)
class _Progress:
    """Blocks of text and tokens that a training has done."""

    blocks: int = 0
    tokens: int = 0


def _keep(
    checkpoint: Path,
    recipe: Recipe,
    model: LlamaForCausalLM,
    optimisers: dict[str, torch.optim.Optimizer],
    done: _Progress,
) -> None:
    with writing(checkpoint) as file:
        torch.save(
            {
                "recipe": recipe.digest,
                "progress": asdict(done),
                "model": model.state_dict(),
                "optimisers": {name: each.state_dict() for name, each in optimisers.items()},
            },
            file,
        )


def _resume(
    checkpoint: Path | None,
    recipe: Recipe,
    model: LlamaForCausalLM,
    optimisers: dict[str, torch.optim.Optimizer],
) -> _Progress:
    """Load a checkpoint of this recipe into model and optimisers, where there is one."""
    if checkpoint is None or not checkpoint.is_file():
        return _Progress()
    kept = torch.load(checkpoint, map_location=model.device, weights_only=True)
    if kept["recipe"] != recipe.digest:
        return _Progress()
    model.load_state_dict(kept["model"])
    for name, optimiser in optimisers.items():
        optimiser.load_state_dict(kept["optimisers"][name])
    return _Progress(**kept["progress"])


def _texts(recipe: Recipe, first: int = 0) -> Iterator[MicroworldText]:
    """Blocks of fresh text, from the `first` on: rich in copying, in short rows, in long rows."""
    blocks = [
        (min(BLOCK_TOKENS, tokens - start), context, mixture)
        for tokens, context, mixture in (
            (recipe.copying_first, 256, COPYING_FIRST),
            (recipe.short - recipe.copying_first, 256, MIXTURE),
            (recipe.long, recipe.context, MIXTURE),
        )
        for start in range(0, tokens, BLOCK_TOKENS)
    ]
    for block, (size, context, mixture) in enumerate(blocks[first:], first):
        seed = 1_000_000 * (recipe.seed + 1) + block
        yield generate(recipe.world, seed, size, context, mixture)


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
    """Write weights, configuration and tokenizer as any Hugging Face model.

    The configuration says under `microworld` which world the model knows and which recipe made it.
    The model itself is left in `dtype`.
    """
    world = recipe.world
    model.config.microworld = {
        "seed": world.seed,
        "renamed": world.renamed,
        "recipe": recipe.digest,
    }
    cast(torch.nn.Module, model).to(dtype)
    model.save_pretrained(folder)
    tokenizer(world).save_pretrained(folder)
