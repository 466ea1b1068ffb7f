"""SAELens' own trainer. Documented: its configuration's defaults, with the scaling of inputs that
its trainings use."""

from __future__ import annotations

import torch
from protocol import Coder, Data, Order, Trained, serve
from sae_lens import (
    BatchTopKTrainingSAE,
    BatchTopKTrainingSAEConfig,
    JumpReLUTrainingSAE,
    JumpReLUTrainingSAEConfig,
    LoggingConfig,
    TopKTrainingSAE,
    TopKTrainingSAEConfig,
)
from sae_lens.config import SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer

SCALED = "expected_average_only_in"


def build(order: Order, width: int):  # type: ignore[no-untyped-def]
    sizes = {"d_in": width, "d_sae": order.latents, "normalize_activations": SCALED}
    if order.kind == "topk":
        return TopKTrainingSAE(TopKTrainingSAEConfig(**sizes, k=order.l0))
    if order.kind == "batch_topk":
        return BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(**sizes, k=order.l0))
    config = JumpReLUTrainingSAEConfig(
        **sizes,
        # The mode that aims at an L0, as Gemma Scope 2 does; the others would need a search.
        jumprelu_sparsity_loss_mode="quadratic",
        target_l0=order.l0,
        l0_coefficient=1.0 if order.penalty is None else order.penalty,
    )
    return JumpReLUTrainingSAE(config)


def train(order: Order, data: Data) -> Trained:
    torch.manual_seed(order.seed)
    sae = build(order, data.x.shape[1])
    batch = 4_096 if order.documented else order.batch
    steps = order.tokens // batch
    rate = 3e-4 if order.documented else order.rate
    own = {} if order.documented else {"lr_decay_steps": steps // 5}
    settings = SAETrainerConfig(
        total_training_samples=steps * batch,
        train_batch_size_samples=batch,
        # The library reads 1,000 batches for one number, the mean norm; 20 are enough.
        n_batches_for_norm_estimate=20,
        logger=LoggingConfig(log_to_wandb=False),
        lr=rate,
        lr_end=rate / 10,  # what its runner sets; its constant rate does not use it
        **own,
    )
    trained = SAETrainer(cfg=settings, sae=sae, data_provider=data.endless(batch)).fit()
    return coder(trained)


def coder(sae) -> Coder:  # type: ignore[no-untyped-def]
    if isinstance(sae, BatchTopKTrainingSAE):
        # Saved, it becomes a JumpReLU with this one threshold.
        threshold = sae.topk_threshold
    elif isinstance(sae, JumpReLUTrainingSAE):
        threshold = sae.threshold
    else:
        return Coder(lambda x, factor: sae.encode(x), sae.decode, thresholds=False)
    kept = threshold.detach().clone().float()

    def encode(x: torch.Tensor, factor: float) -> torch.Tensor:
        scores = sae.encode_with_hidden_pre(x)[1]
        return scores.relu() * (scores > factor * kept)

    return Coder(encode, sae.decode, thresholds=True)


if __name__ == "__main__":
    serve(train)
