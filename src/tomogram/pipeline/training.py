"""Training dictionaries by itself: from a model and a text to files that other tools read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from tomogram.activations.buffer import ShuffleBuffer
from tomogram.activations.deal import Deal
from tomogram.dictionaries import trainer
from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import own
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.loggers import Opener, opener
from tomogram.dictionaries.matryoshka import Matryoshka
from tomogram.dictionaries.parallel.feed import Feed, Roles
from tomogram.dictionaries.parallel.join import joined, launched
from tomogram.dictionaries.parallel.layout import take_share
from tomogram.dictionaries.parallel.ranks import Ranks
from tomogram.dictionaries.parallel.spread import Spread
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.schedule import Schedule
from tomogram.dictionaries.shape import Shape, autoencoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.model import Model
from tomogram.models.named import sites_named
from tomogram.models.sites import Site
from tomogram.pipeline.given import given_model, given_text
from tomogram.store.atomic import write_bytes
from tomogram.store.errors import TomogramError
from tomogram.store.lock import exclusive
from tomogram.store.stage import Stage, Work
from tomogram.text.packing import PackedText

VERSION = 1
TRANSCODER = "transcoder"
"""At a place called so, or `transcoder.3`, a dictionary reads an MLP's input and writes its
output."""
TOKENS_AT_ONCE = 4_096
"""Tokens in one forward pass of the model."""


@dataclass(frozen=True)
class Order:
    """What to train.

    kind: one of `KINDS`.
    places: sites (`resid_post.3`), kinds of sites for every layer (`resid_post`), `transcoder.3`
        or `transcoder`; one dictionary each.
    latents: latents of each; 8 times the width it reads where None.
    k: latents that fire on a token, in the mean for kinds that are free in it; not for relu and
        gated, whose `sparsity` is the weight of their penalty.
    epochs: how often the text is read.
    batch_tokens, buffer_tokens: tokens in a step, and in the buffer they are mixed in.
    learning_rate: the highest; by the number of latents where None (see `peak`).
    """

    kind: str = "topk"
    places: tuple[str, ...] = ("resid_post",)
    latents: int | None = None
    k: int = 32
    sparsity: float = 0.03
    epochs: int = 1
    batch_tokens: int = 1_024
    buffer_tokens: int = 65_536
    learning_rate: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise TomogramError(f"There is no kind {self.kind!r}; choose of {', '.join(KINDS)}.")
        if not self.places:
            raise TomogramError("Say at which sites dictionaries are to be trained.")
        for name in ("k", "epochs", "batch_tokens", "buffer_tokens"):
            if getattr(self, name) < 1:
                raise TomogramError(f"{name} must be 1 or more, not {getattr(self, name)}.")

    def peak(self, latents: int) -> float:
        """The highest learning rate of dictionaries of at most so many latents.

        It falls with the root of their number (Gao et al. 2024, section A.3).
        """
        return 0.32 / latents**0.5 if self.learning_rate is None else self.learning_rate


def _matryoshka(shape: Shape, latents: int, order: Order) -> Dictionary:
    prefixes = sorted({max(1, latents >> shift) for shift in (4, 3, 2, 1, 0)})
    return Matryoshka(shape, latents, k=order.k, prefixes=prefixes)


KINDS: dict[str, Callable[[Shape, int, Order], Dictionary]] = {
    "topk": lambda shape, latents, order: TopK(shape, latents, k=order.k),
    "batch_topk": lambda shape, latents, order: BatchTopK(shape, latents, k=order.k),
    "matryoshka": _matryoshka,
    "jumprelu": lambda shape, latents, order: JumpReLU(shape, latents, target_l0=order.k),
    "gated": lambda shape, latents, order: Gated(shape, latents, sparsity=order.sparsity),
    "relu": lambda shape, latents, order: ReLU(shape, latents, sparsity=order.sparsity),
}
"""The kinds that can be ordered, by name."""


@dataclass(frozen=True)
class Split:
    """How the processes that torchrun starts share the work; it changes results by rounding alone.

    shards: into how many parts the latents of each dictionary are cut; of 8 processes with 2
        shards, 4 groups of 2 read a quarter of each batch.
    producers: how many processes only run the model; where none does, all run it.
    timeout: seconds after which a process that does not answer counts as lost.
    """

    shards: int = 1
    producers: int = 0
    timeout: float = 600.0

    def roles(self, size: int) -> Roles:
        """What each of `size` processes does. Raises TomogramError where they are too few, or do
        not share the shards evenly."""
        trainers = size - self.producers
        if self.producers < 0 or trainers < 1 or self.shards < 1 or trainers % self.shards:
            raise TomogramError(
                f"{size} processes, of which {self.producers} only run the model, do not share "
                f"{self.shards} shards evenly."
            )
        return Roles(size, trainers, self.shards)


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training made: the dictionaries as read back from their files, in `folder`.

    Of several processes only the first holds dictionaries.
    """

    dictionaries: tuple[Dictionary, ...]
    folder: Path
    tokens: int
    """Tokens of the text, each read `order.epochs` times."""


def train(
    model: str | Path | Model,
    text: str | Path | PackedText,
    out: str | Path,
    order: Order | None = None,
    *,
    tokens: int | None = None,
    context: int = 256,
    field: str = "text",
    device: str = "cpu",
    dtype: str = "float32",
    log: Sequence[str] = (),
    split: Split | None = None,
) -> Trained:
    """Train one dictionary at each place, all in one pass over the text, and save them.

    Below `out/dictionaries` stands a folder for each, an autoencoder in SAELens' format and a
    transcoder in sparsify's, beside `metrics.jsonl` with the loss, FVU, L0 and dead latents of
    every step. Interrupted, it goes on where it stopped, to the same weights; what is done is not
    done again.

    Started by torchrun, all its processes train together and the first one writes
    (docs/scaling.md).

    Args:
        model: Hub name, local folder, GGUF file, or a loaded model.
        text: a file, a folder or a Hub dataset (`text.sources.read_documents`), or packed text.
        order: what to train; TopK on every layer's residual stream when None.
        tokens, context, field: how much of a text that is not packed yet is read, in rows of how
            many tokens, from which column.
        device, dtype: as `tomogram.load` takes them.
        log: tools that get the metrics, too (`dictionaries.loggers.TOOLS`), below `out/logs`.
        split: how the processes of torchrun share the work.

    Raises:
        TomogramError: model or text cannot be used, the model has no such place, no format holds
            what is ordered, the text is too short, the training diverges, the folder cannot be
            written, or another process is lost.
    """
    order, split = order or Order(), split or Split()
    with joined(device, timeout=split.timeout) if launched() else nullcontext() as world:
        job = _prepared(model, text, out, order, tokens, context, field, device, dtype, log)
        if world is not None:
            return _together(job, world, split)
        dictionaries = ordered(job.model, order)
        with exclusive(Path(out)):
            path = job.stage.run(lambda work: _body(job, dictionaries, work))
        return job.trained(path)


@dataclass(frozen=True, eq=False)
class _Job:
    """An order with all that it needs."""

    model: Model
    text: PackedText
    order: Order
    stage: Stage
    logs: tuple[Opener, ...]

    def trained(self, path: Path) -> Trained:
        made = tuple(dictionary.to(self.model.device) for dictionary in own.read(path))
        return Trained(made, path, self.text.n_tokens)


def _prepared(
    model: str | Path | Model,
    text: str | Path | PackedText,
    out: str | Path,
    order: Order,
    tokens: int | None,
    context: int,
    field: str,
    device: str,
    dtype: str,
    log: Sequence[str],
) -> _Job:
    model = given_model(model, device=device, dtype=dtype)
    logs = tuple(opener(tool, Path(out) / "logs") for tool in log)
    # Says what is wrong with an order before a text is read.
    with torch.device("meta"):
        ordered(model, order)
    text = given_text(text, model, context=context, tokens=tokens, field=field)
    stage = Stage(
        Path(out),
        "dictionaries",
        VERSION,
        {
            "model": model.digest,
            "dtype": str(model.dtype),
            "device": model.device.type,
            "threads": torch.get_num_threads(),
            "text": text.digest,
            **{name: list(v) if isinstance(v, tuple) else v for name, v in asdict(order).items()},
        },
    )
    return _Job(model, text, order, stage, logs)


def ordered(model: Model, order: Order) -> list[Dictionary]:
    """The dictionaries of an order before training.

    Raises TomogramError for a place the model lacks, and for what no format can hold.
    """
    shapes = dict.fromkeys(shape for place in order.places for shape in _shapes(model, place))
    for shape in shapes:
        if not shape.is_autoencoder and order.kind != "topk":
            raise TomogramError(
                f"No format here holds a transcoder of kind {order.kind}; choose topk."
            )
    make = KINDS[order.kind]
    return [make(shape, order.latents or 8 * shape.d_in, order) for shape in shapes]


def _shapes(model: Model, place: str) -> list[Shape]:
    """The shapes at a place; a kind without its layer stands for every layer's."""
    kind, _, layer = place.partition(".")
    width = model.d_model
    if kind == TRANSCODER:
        sites = sites_named(model, f"mlp_in.{layer}" if layer else "mlp_in")
        return [transcoder(site.layer or 0, width) for site in sites]
    sites = sites_named(model, place)
    wide = [site for site in sites if site.kind in _OTHER_SHAPE]
    if wide:
        raise TomogramError(f"{wide[0]} is not one vector of the model's width a token.")
    return [
        autoencoder(site, model.d_mlp or width if site.kind == "neurons" else width)
        for site in sites
    ]


_OTHER_SHAPE = {"head_q", "head_k", "head_v", "pattern", "head_z", "head_out", "logits"}


def _body(job: _Job, dictionaries: list[Dictionary], work: Work) -> None:
    buffer = ShuffleBuffer(
        job.model,
        job.text,
        _sites(dictionaries),
        capacity=job.order.buffer_tokens,
        batch_tokens=job.order.batch_tokens,
        batch_rows=_rows_at_once(job.text),
        seed=job.order.seed,
    )
    _save(_trained(job, dictionaries, buffer, work.checkpoints), job, work)


def _together(job: _Job, world: Ranks, split: Split) -> Trained:
    """This process's part in a training of several: the first holds the folder."""
    roles = split.roles(world.size)
    if world.rank > 0:
        folder = world.shared(lambda: None)
        if folder is not None:
            _body_together(job, world, roles, Path(folder))
        return Trained((), job.stage.path, job.text.n_tokens)
    begun = False

    def body(work: Work) -> None:
        nonlocal begun
        begun = True
        world.shared(lambda: str(work.checkpoints))
        _save(_body_together(job, world, roles, work.checkpoints), job, work)

    with exclusive(job.stage.folder):
        path = job.stage.run(body)
    if not begun:
        world.shared(lambda: None)
    return job.trained(path)


def _body_together(job: _Job, world: Ranks, roles: Roles, folder: Path) -> list[Dictionary]:
    """The whole dictionaries for the first process, nothing for the others."""
    with torch.device("meta"):
        dictionaries = ordered(job.model, job.order)
    order, text = job.order, job.text
    keep = np.ones(text.tokens.shape, dtype=bool)
    feed = Feed(
        job.model,
        Deal(text, order.buffer_tokens, order.batch_tokens, order.seed, keep),
        _sites(dictionaries),
        batch_rows=_rows_at_once(text),
        world=world,
        roles=roles,
    )
    sets = [range(roles.trainers), range(roles.trainers, roles.size)]
    group = world.subgroup(sets)
    if world.rank >= roles.trainers:
        feed.serve()
        return []
    spread = Spread.over(group, roles.shards)
    for dictionary in dictionaries:
        take_share(dictionary, spread, job.model.device)
    made = _trained(job, dictionaries, feed, folder)
    feed.close()
    return made


def _trained(
    job: _Job, dictionaries: list[Dictionary], source: trainer.Source, folder: Path
) -> list[Dictionary]:
    order = job.order
    peak = order.peak(max(each.d_dict * each.across.shards for each in dictionaries))
    return trainer.train(
        dictionaries,
        source,
        max(1, order.epochs * job.text.n_tokens // order.batch_tokens),
        trainer.Settings(schedule=Schedule(peak=peak), seed=order.seed),
        folder=folder,
        source_digest=job.stage.digest,
        logs=job.logs,
    )


def _save(trained: list[Dictionary], job: _Job, work: Work) -> None:
    for dictionary in trained:
        own.save(dictionary, work.results, model=job.model.name, context=job.text.context)
    metrics = (work.checkpoints / "metrics.jsonl").read_bytes()
    write_bytes(work.results / "metrics.jsonl", metrics)


def _sites(dictionaries: list[Dictionary]) -> list[Site]:
    return sorted({s for d in dictionaries for s in (*d.shape.reads, *d.shape.writes)}, key=str)


def _rows_at_once(text: PackedText) -> int:
    return max(1, TOKENS_AT_ONCE // text.context)
