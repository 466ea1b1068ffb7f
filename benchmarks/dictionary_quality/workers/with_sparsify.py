"""sparsify's training, step by step as its trainer takes them (that one runs a model itself).
Documented: signum without a schedule at the learning rate it chooses; else Adam, its other choice.
"""

from __future__ import annotations

import os

import torch
from protocol import Coder, Data, Order, Trained, serve

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"

from schedulefree import ScheduleFreeWrapper
from sparsify import SparseCoder, SparseCoderConfig
from sparsify.sign_sgd import SignSGD
from transformers import get_linear_schedule_with_warmup

BATCH = 4_096
"""Its trainer takes 32 sequences, which would be too few steps for so few tokens."""


def train(order: Order, data: Data) -> Trained:
    torch.manual_seed(order.seed)
    config = SparseCoderConfig(num_latents=order.latents, k=order.l0)
    coder = SparseCoder(data.x.shape[1], config, device="cpu", dtype=torch.float32)
    batch = BATCH if order.documented else order.batch
    schedule = None
    if order.documented:
        rate = 5e-3 / (order.latents / 2**14) ** 0.5
        optimiser = ScheduleFreeWrapper(SignSGD(coder.parameters(), lr=rate), momentum=0.95)
        optimiser.train()
    else:
        optimiser = torch.optim.Adam(coder.parameters(), lr=order.rate)
        schedule = get_linear_schedule_with_warmup(optimiser, 10, order.tokens // batch)
    for step, x in enumerate(data.batches(batch)):
        if step == 0:
            coder.b_dec.data = x.mean(0)
        coder.set_decoder_norm_to_unit_norm()
        coder(x).fvu.backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        optimiser.step()
        optimiser.zero_grad()
        if schedule is not None:
            schedule.step()
    if order.documented:
        optimiser.eval()

    def encode(x: torch.Tensor, factor: float) -> torch.Tensor:
        values, indices, _ = coder.encode(x)
        return x.new_zeros(len(x), order.latents).scatter_(1, indices, values)

    def decode(latents: torch.Tensor) -> torch.Tensor:
        values, indices = latents.topk(order.l0, dim=1)
        return coder.decode(values, indices)

    return Coder(encode, decode, thresholds=False)


if __name__ == "__main__":
    serve(train)
