"""Trainer: many dictionaries trained in one pass over activations, resumable bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.dictionaries import checkpoint, normalisation
from tomogram.dictionaries.across import Across
from tomogram.dictionaries.dictionary import Dictionary, names_of
from tomogram.dictionaries.loggers import Opener, figures
from tomogram.dictionaries.metrics import Metrics
from tomogram.dictionaries.parallel.layout import whole
from tomogram.dictionaries.parallel.ranks import Lost
from tomogram.dictionaries.resampling import Resampling
from tomogram.dictionaries.schedule import Schedule
from tomogram.dictionaries.trainee import Taken, Trainee
from tomogram.models.sites import Site
from tomogram.store import progress
from tomogram.store.digest import digest_json
from tomogram.store.errors import TomogramError


class Batch(Protocol):
    """Activations of the same tokens at several sites."""

    def __getitem__(self, site: Site, /) -> Float[Tensor, "tokens width"]:
        """What one site holds."""


class Source(Protocol):
    """Training batches, the same ones in the same order whenever they are asked for.

    `activations.buffer.ShuffleBuffer` is one. A batch holds only until the next is asked for.
    """

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """The batches from number `start` on."""


@dataclass(frozen=True)
class Settings:
    """How to train; the defaults are those of `scan`.

    dead_after: a latent is dead once it has been silent for so many tokens.
    measured_tokens: how many of the first tokens the normalisation and the first weights come from.
    resampling: how dead latents begin anew, in the place of what the loss of a kind does for them
        (AuxK); None leaves them to the loss.
    diverged_at: training stops when a running mean of the FVU exceeds this; 1 is the error of
        always answering the mean.
    """

    schedule: Schedule = field(default_factory=lambda: Schedule(peak=6e-3))
    dead_after: int = 200_000
    measured_tokens: int = 16_384
    diverged_at: float = 4.0
    resampling: Resampling | None = None
    seed: int = 0


def train(
    dictionaries: Sequence[Dictionary],
    source: Source,
    steps: int,
    settings: Settings,
    *,
    folder: Path | None = None,
    source_digest: str = "",
    checkpoint_every: int = 200,
    logs: Sequence[Opener] = (),
) -> list[Dictionary]:
    """Trains all dictionaries on one stream of activations; their first weights are overwritten.

    Each of the `steps` batches is used by every dictionary. With a `folder`, it writes
    `metrics.jsonl` (one line a step: the step, the learning rate and, by dictionary, loss, FVU, L0
    and dead latents in its batch) and every `checkpoint_every` steps a checkpoint, from which a
    later call with the same arguments goes on to the same weights: bit for bit on CPU with the
    same number of threads. `source_digest` names what the batches depend on (model, text, seed); a
    checkpoint of another one is not taken up. `logs` open loggers for the same figures.

    Dictionaries spread over processes (`parallel.layout.take_share`) are trained by all of them at
    once; `source` then gives each process its part of each batch.

    Returns new dictionaries for raw activations, decoder rows of unit norm, without gradients; of
    several processes, the one that leads gets all latents together and the others nothing.
    Raises TomogramError where activations or a loss are not finite, where the FVU diverges, where
    two dictionaries are alike, where the folder cannot be written, or where another process
    is lost. The last checkpoint then stands.
    """
    trainees = run(
        dictionaries,
        source,
        steps,
        settings,
        folder=folder,
        source_digest=source_digest,
        checkpoint_every=checkpoint_every,
        logs=logs,
    )
    return [entire.finished() for entire in map(whole, trainees) if entire is not None]


def run(
    dictionaries: Sequence[Dictionary],
    source: Source,
    steps: int,
    settings: Settings,
    *,
    folder: Path | None = None,
    source_digest: str = "",
    checkpoint_every: int = 200,
    logs: Sequence[Opener] = (),
) -> list[Trainee]:
    """`train`, but returns the trainees, for training that goes on by another loss."""
    if not dictionaries:
        return []
    digest = _digest(dictionaries, source_digest, steps, settings)
    try:
        return _run(dictionaries, source, steps, settings, folder, digest, checkpoint_every, logs)
    except Lost as error:
        raise Lost(f"{error}{_stands(folder)}") from error


def _run(
    dictionaries: Sequence[Dictionary],
    source: Source,
    steps: int,
    settings: Settings,
    folder: Path | None,
    digest: str,
    checkpoint_every: int,
    logs: Sequence[Opener],
) -> list[Trainee]:
    across, names = dictionaries[0].across, names_of(dictionaries)
    resumed = folder and checkpoint.read(folder, dictionaries, digest)
    if resumed:
        trainees, start = resumed
        batches = source.batches(start)
    else:
        trainees, batches = _begin(dictionaries, source, settings)
        start = 0
    metrics = Metrics(folder if across.leads else None, start)
    health = _Health(settings.diverged_at, folder)
    if folder is not None and start == 0:
        checkpoint.write(folder, trainees, 0, digest)
    with (
        ExitStack() as open_logs,
        progress.task("dictionaries", total=steps, unit="steps", done=start) as task,
    ):
        loggers = [open_logs.enter_context(closing(each(start))) for each in logs if across.leads]
        for step, batch in zip(range(start, steps), batches, strict=False):
            rate = settings.schedule.rate(step, steps)
            taken: dict[str, Taken] = {}
            for place, (name, trainee) in enumerate(zip(names, trainees, strict=True)):
                shape = trainee.dictionary.shape
                x = gather(batch, shape.reads)
                y = x if shape.writes == shape.reads else gather(batch, shape.writes)
                taken[name] = trainee.learn(
                    x,
                    y,
                    rate=rate,
                    dead_after=settings.dead_after,
                    help_dead=settings.resampling is None,
                )
                health.check(name, taken[name].fvu, step)
                if settings.resampling and settings.resampling.due(step, steps):
                    trainee.resample(
                        x,
                        y,
                        dead_after=settings.dead_after,
                        loudness=settings.resampling.loudness,
                        generator=_generator(settings.seed, step, place),
                    )
            line = _line(step, rate, taken)
            metrics.write(line)
            for logger in loggers:
                logger.log(step, figures(line))
            task.advance()
            task.note(f"FVU {sum(each.fvu for each in taken.values()) / len(taken):.3f}")
            task.table(COLUMNS, _rows(taken))
            if folder is not None and (step + 1) % checkpoint_every == 0:
                metrics.flush()
                checkpoint.write(folder, trainees, step + 1, digest)
    metrics.close()
    if folder is not None:
        checkpoint.write(folder, trainees, steps, digest)
    return trainees


COLUMNS = ("dictionary", "loss", "FVU", "L0", "dead")
"""What is shown of every dictionary while it is trained."""


def _rows(taken: Mapping[str, Taken]) -> list[tuple[str, ...]]:
    return [
        (name, f"{each.loss:.4f}", f"{each.fvu:.3f}", f"{each.l0:.1f}", f"{each.dead:,}")
        for name, each in taken.items()
    ]


def _line(step: int, rate: float, taken: Mapping[str, Taken]) -> dict[str, Any]:
    """One step as it stands in the metrics: each figure by dictionary."""
    parts = {
        figure: {name: getattr(each, figure) for name, each in taken.items()}
        for figure in ("loss", "fvu", "l0", "dead")
    }
    return {"step": step, "rate": rate, **parts}


def _generator(seed: int, step: int, place: int) -> torch.Generator:
    """Random numbers that depend on the step and not on what came before, so that a training that
    goes on from a checkpoint draws the same."""
    mixed = np.random.SeedSequence([seed, step, place]).generate_state(1)[0]
    return torch.Generator().manual_seed(int(mixed))


def gather(batch: Batch, sites: Sequence[Site]) -> Float[Tensor, "tokens d"]:
    """The activations of several sites side by side; of one site, as they are."""
    return batch[sites[0]] if len(sites) == 1 else torch.cat([batch[s] for s in sites], dim=1)


def _begin(
    dictionaries: Sequence[Dictionary], source: Source, settings: Settings
) -> tuple[list[Trainee], Iterator[Batch]]:
    """Trainees at step 0, with normalisations measured on the source's first batches, and all of
    its batches: the source is asked once, because filling a shuffle buffer is much work."""
    sites = dict.fromkeys(s for d in dictionaries for s in (*d.shape.reads, *d.shape.writes))
    across = dictionaries[0].across
    batches = source.batches(0)
    first, sample = _first_tokens(batches, list(sites), settings.measured_tokens, across)
    norms = {site: normalisation.measure(x) for site, x in sample.items()}
    generator = torch.Generator().manual_seed(settings.seed)
    trainees = []
    for dictionary in dictionaries:
        reads, writes = dictionary.shape.reads, dictionary.shape.writes
        trainee = Trainee(
            dictionary,
            normalisation.side_by_side([norms[site] for site in reads]),
            normalisation.side_by_side([norms[site] for site in writes]),
        )
        trainee.start(gather(sample, reads), gather(sample, writes), generator)
        trainees.append(trainee)
    return trainees, chain(_emptied(first), batches)


def _first_tokens(
    batches: Iterator[Batch], sites: Sequence[Site], tokens: int, across: Across
) -> tuple[list[dict[Site, Tensor]], dict[Site, Tensor]]:
    """The first batches, and the activations of the first tokens of all parts."""
    first: list[dict[Site, Tensor]] = []
    parts: list[dict[Site, Tensor]] = []
    for batch in batches:
        # A copy, because a batch holds only until the next.
        first.append({site: batch[site].clone() for site in sites})
        parts.append({site: across.gathered(first[-1][site]) for site in sites})
        if sum(len(part[sites[0]]) for part in parts) >= tokens:
            break
    if not parts:
        raise TomogramError("There are no activations to train dictionaries on.")
    return first, {site: torch.cat([part[site] for part in parts])[:tokens] for site in sites}


def _emptied(batches: list[dict[Site, Tensor]]) -> Iterator[Batch]:
    """The batches one after the other, each let go when the next is asked for."""
    while batches:
        yield batches.pop(0)


def _digest(
    dictionaries: Sequence[Dictionary], source_digest: str, steps: int, settings: Settings
) -> str:
    """Names all that the weights after a given step depend on."""
    return digest_json(
        {
            "dictionaries": [
                [d.kind, d.name, d.d_dict * d.across.shards, d.shape.skip, d.config()]
                for d in dictionaries
            ],
            "source": source_digest,
            "steps": steps,
            "settings": repr(settings),
            "threads": torch.get_num_threads(),
        }
    )


def _stands(folder: Path | None) -> str:
    return f" The last checkpoint stands in {folder}." if folder else ""


class _Health:
    """Stops a training whose loss is not finite or grows."""

    def __init__(self, limit: float, folder: Path | None) -> None:
        self._limit, self._folder = limit, folder
        self._mean: dict[str, float] = {}

    def check(self, name: str, fvu: float, step: int) -> None:
        mean = self._mean[name] = 0.98 * self._mean.get(name, min(fvu, 1.0)) + 0.02 * fvu
        if mean <= self._limit:  # false for NaN, too
            return
        what = "is not finite" if mean != mean else f"has grown to an FVU of {mean:.3g}"
        raise TomogramError(
            f"Training of the dictionary {name} stopped at step {step}: its loss {what}."
            f"{_stands(self._folder)}"
        )
