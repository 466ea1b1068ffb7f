"""Fine-tuning: dictionaries learn to stand in the model together, end to end.

Each dictionary alone may cost the model little, and all of them at once a lot: every one then
reads what the errors before it left. A short training against the model's own predictions with
all of them spliced in mends much of that (Braun et al. 2024, "Identifying Functionally Important
Features with End-to-End Sparse Dictionary Learning"; Karvonen 2025, "Revisiting End-to-End Sparse
Autoencoder Training: A Short Finetune Is All You Need").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.dictionaries import checkpoint
from tomogram.dictionaries.dictionary import fraction_unexplained
from tomogram.dictionaries.metrics import Metrics
from tomogram.dictionaries.schedule import Schedule
from tomogram.dictionaries.splice import Splice, interventions
from tomogram.dictionaries.trainee import Trainee
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store import progress
from tomogram.store.digest import digest_json
from tomogram.store.errors import TomogramError
from tomogram.text.packing import PackedText


@dataclass(frozen=True)
class Settings:
    """How to fine-tune; the defaults are those of `scan`.

    schedule: a small rate, because what was learnt alone must not be lost.
    batch_rows: rows of text in a step.
    """

    schedule: Schedule = field(default_factory=lambda: Schedule(3e-4, warmup=0.05, decay=0.5))
    batch_rows: int = 4
    seed: int = 0


def finetune(
    trainees: Sequence[Trainee],
    model: Model,
    text: PackedText,
    steps: int,
    settings: Settings,
    *,
    folder: Path | None = None,
    source_digest: str = "",
    checkpoint_every: int = 50,
) -> list[Trainee]:
    """Trains dictionaries on with all of them spliced into the model at once.

    With p the model's prediction, q that of the model with all dictionaries in it, y the clean
    activation at a dictionary's write site and ŷ what the dictionary writes there in that model,
    the loss of a batch is

        mean over positions of KL(p ‖ q) + Σ over dictionaries of FVU(y, ŷ)

    Predictions are compared over the tokens that occur in `text`, renormalised: the unembedding is
    most of a small model's cost, and most of a vocabulary never occurs.

    The trainees' weights are changed in place. Rows of `text` are taken in a random order, again
    and again. With a `folder`, `metrics.jsonl` (KL and FVU of every step) and checkpoints are
    written as by `trainer.train`, with the same exact resume; `source_digest` must then name the
    weights it starts from as well as model and text.

    Raises TomogramError where the loss is not finite, where two dictionaries write one site, or
    where the folder cannot be written.
    """
    vocabulary = torch.from_numpy(np.unique(text.tokens).astype(np.int64)).to(model.device)
    order = np.random.default_rng(settings.seed).permutation(text.rows)
    digest = digest_json(
        {
            "dictionaries": [t.dictionary.name for t in trainees],
            "source": source_digest,
            "steps": steps,
            "settings": repr(settings),
            "threads": torch.get_num_threads(),
        }
    )
    resumed = folder and checkpoint.read(folder, [t.dictionary for t in trainees], digest)
    tuned, start = resumed or ([trainee.refreshed() for trainee in trainees], 0)
    metrics = Metrics(folder, start)
    with progress.task("fine-tuning", total=steps, unit="steps", done=start) as task:
        for step in range(start, steps):
            rows = [step * settings.batch_rows + i for i in range(settings.batch_rows)]
            tokens = text.tokens[order[np.mod(rows, text.rows)]]
            ids = torch.from_numpy(tokens.astype(np.int64)).to(model.device)
            divergence, fvu = losses(tuned, model, ids, vocabulary)
            loss = divergence + torch.stack(fvu).sum()
            if not torch.isfinite(loss):
                stands = f" The last checkpoint stands in {folder}." if folder else ""
                raise TomogramError(
                    f"Fine-tuning stopped at step {step}: the loss is not finite.{stands}"
                )
            for trainee in tuned:
                trainee.optimizer.zero_grad()
            loss.backward()
            rate = settings.schedule.rate(step, steps)
            for trainee in tuned:
                trainee.descend(rate)
            metrics.write(
                {
                    "step": step,
                    "rate": rate,
                    "kl": divergence.item(),
                    "fvu": {
                        t.dictionary.name: value.item() for t, value in zip(tuned, fvu, strict=True)
                    },
                }
            )
            task.advance()
            task.note(f"KL {divergence.item():.3f}")
            if folder is not None and (step + 1) % checkpoint_every == 0:
                metrics.flush()
                checkpoint.write(folder, tuned, step + 1, digest)
    metrics.close()
    if folder is not None:
        checkpoint.write(folder, tuned, steps, digest)
    return tuned


def losses(
    trainees: Sequence[Trainee],
    model: Model,
    tokens: Int[Tensor, "rows pos"],
    vocabulary: Int[Tensor, " d_some"],
) -> tuple[Float[Tensor, ""], list[Float[Tensor, ""]]]:
    """KL in nats from the model's predictions over some tokens of the vocabulary, and each
    dictionary's FVU, with all dictionaries spliced in at once."""
    last = Site("resid_post", model.n_layers - 1)
    writes = [trainee.dictionary.write for trainee in trainees]
    with torch.no_grad():
        clean = model.run(tokens, capture={last, *writes}, logits=False)
    fvu: dict[Site, Tensor] = {}

    def watched(trainee: Trainee) -> Callable[[Tensor], Tensor]:
        site = trainee.dictionary.write

        def reconstruct(x: Tensor) -> Tensor:
            written = trainee.reconstruct(x)
            target = clean[site].flatten(0, 1)
            fvu[site] = fraction_unexplained(target, target - written)
            return written

        return reconstruct

    splices = [Splice(t.dictionary.read, t.dictionary.write, watched(t)) for t in trainees]
    changed = model.run(tokens, capture=(last,), interventions=interventions(splices), logits=False)

    def predictions(stream: Tensor) -> Tensor:
        return F.log_softmax(model.unembed(stream.flatten(0, 1), vocabulary).float(), dim=-1)

    with torch.no_grad():
        expected = predictions(clean[last])
    divergence = F.kl_div(
        predictions(changed[last]), expected, log_target=True, reduction="batchmean"
    )
    return divergence, [fvu[site] for site in writes]
