"""dictionary_learning's own trainers, on inputs scaled as its `trainSAE` scales them. Documented:
the learning rates the trainers choose and the warm-up, decay and batch of its demonstration."""

from __future__ import annotations

import torch
from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
from dictionary_learning.trainers.jumprelu import JumpReluTrainer
from dictionary_learning.trainers.top_k import TopKTrainer
from dictionary_learning.training import get_norm_factor
from protocol import Coder, Data, Order, Trained, serve

WARMUP, PENALTY_WARMUP, DECAY_START, BATCH = 10, 50, 0.8, 2_048


def build(order: Order, width: int, steps: int):  # type: ignore[no-untyped-def]
    common = {
        "steps": steps,
        "activation_dim": width,
        "dict_size": order.latents,
        "layer": 3,
        "lm_name": "stories15M",
        "warmup_steps": WARMUP,
        "decay_start": int(DECAY_START * steps),
        "device": "cpu",
        "seed": order.seed,
    }
    if not order.documented:
        common["lr"] = order.rate
    if order.kind == "topk":
        return TopKTrainer(**common, k=order.l0)
    if order.kind == "batch_topk":
        # Its threshold is followed from step 1,000 on, which may be after the end.
        follow = {"threshold_start_step": steps // 2, "threshold_beta": 0.98}
        return BatchTopKTrainer(**common, k=order.l0, **follow)
    penalty = {} if order.penalty is None else {"sparsity_penalty": order.penalty}
    return JumpReluTrainer(
        **common, target_l0=order.l0, sparsity_warmup_steps=PENALTY_WARMUP, **penalty
    )


def train(order: Order, data: Data) -> Trained:
    # One of its trainers does not look at the seed it is given.
    torch.manual_seed(order.seed)
    batch = BATCH if order.documented else order.batch
    steps = order.tokens // batch
    trainer = build(order, data.x.shape[1], steps)
    factor = get_norm_factor(data.batches(batch), steps=100)
    for step, x in enumerate(data.batches(batch)):
        trainer.update(step, x / factor)
    trainer.ae.scale_biases(factor)
    return coder(trainer.ae, order.kind)


def coder(ae, kind: str) -> Coder:  # type: ignore[no-untyped-def]
    if kind == "topk":
        return Coder(lambda x, factor: ae.encode(x), ae.decode, thresholds=False)
    kept = ae.threshold.detach().clone()

    def encode(x: torch.Tensor, factor: float) -> torch.Tensor:
        ae.threshold.data = kept * factor
        return ae.encode(x)

    return Coder(encode, ae.decode, thresholds=True)


if __name__ == "__main__":
    serve(train)
