"""Training dictionaries by itself: from a model and a text to files that other tools read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tomogram.activations.buffer import ShuffleBuffer
from tomogram.activations.deal import Deal
from tomogram.dictionaries import trainer
from tomogram.dictionaries.batch_topk import BatchTopK
from tomogram.dictionaries.cross_layer import CrossLayer
from tomogram.dictionaries.cross_layer_jumprelu import CrossLayerJumpReLU
from tomogram.dictionaries.dictionary import Dictionary, names_of
from tomogram.dictionaries.formats import own
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.jumprelu import JumpReLU
from tomogram.dictionaries.loggers import Opener, opener
from tomogram.dictionaries.matryoshka import Matryoshka
from tomogram.dictionaries.paired import Paired, paired_shape
from tomogram.dictionaries.parallel.feed import Feed, Roles
from tomogram.dictionaries.parallel.join import joined, launched
from tomogram.dictionaries.parallel.layout import take_share
from tomogram.dictionaries.parallel.ranks import Ranks
from tomogram.dictionaries.parallel.spread import Spread
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.schedule import Schedule
from tomogram.dictionaries.shape import (
    Shape,
    autoencoder,
    cross_layer_transcoder,
    crosscoder,
    transcoder,
)
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
TRANSCODER, SKIP_TRANSCODER = "transcoder", "skip_transcoder"
"""At a place called so, or `transcoder.3`, a dictionary reads an MLP's input and writes its
output."""
CROSSCODER, CROSS_LAYER = "crosscoder", "cross_layer_transcoder"
TOKENS_AT_ONCE = 4_096
"""Tokens in one forward pass of the model."""


@dataclass(frozen=True)
class Order:
    """What to train.

    kind: of `KINDS`, one or several.
    places: sites (`resid_post.3`), kinds of sites for every layer (`resid_post`), `transcoder.3`
        or `transcoder`, `skip_transcoder` likewise, `crosscoder` (the residual stream after all
        layers at once), `cross_layer_transcoder` (all MLPs at once; topk and jumprelu alone).
    latents: latents of each; 8 times the width of a site where None. A cross-layer
        transcoder has so many in each layer.
    k: latents that fire on a token, in the mean for kinds that are free in it; not for relu and
        gated, whose `sparsity` is the weight of their penalty.
    epochs: how often the text is read.
    batch_tokens, buffer_tokens: tokens in a step, and in the buffer they are mixed in.
    learning_rate: the highest; by the number of latents where None (see `peak`).

    Of several kinds, latents and k every combination is trained at every place, in one pass.
    """

    kind: str | tuple[str, ...] = "topk"
    places: tuple[str, ...] = ("resid_post",)
    latents: int | tuple[int, ...] | None = None
    k: int | tuple[int, ...] = 32
    sparsity: float = 0.03
    epochs: int = 1
    batch_tokens: int = 1_024
    buffer_tokens: int = 65_536
    learning_rate: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for kind in _each(self.kind):
            if kind not in KINDS:
                raise TomogramError(f"There is no kind {kind!r}; choose of {', '.join(KINDS)}.")
        if not self.places:
            raise TomogramError("Say at which sites dictionaries are to be trained.")
        if not _each(self.kind) or not _each(self.k):
            raise TomogramError("Say which kinds are to be trained, and with which k.")
        for name in ("latents", "k", "epochs", "batch_tokens", "buffer_tokens"):
            for value in _each(getattr(self, name)):
                if value < 1:
                    raise TomogramError(f"{name} must be 1 or more, not {value}.")

    def peak(self, latents: int) -> float:
        """The highest learning rate of dictionaries of at most so many latents.

        It falls with the root of their number (Gao et al. 2024, section A.3).
        """
        return 0.32 / latents**0.5 if self.learning_rate is None else self.learning_rate


def _each(value: Any) -> tuple[Any, ...]:
    """One value or several, as several."""
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def _matryoshka(shape: Shape, latents: int, k: int) -> Dictionary:
    prefixes = sorted({max(1, latents >> shift) for shift in (4, 3, 2, 1, 0)})
    return Matryoshka(shape, latents, k=k, prefixes=prefixes)


_WITH_K: dict[str, Callable[[Shape, int, int], Dictionary]] = {
    "topk": lambda shape, latents, k: TopK(shape, latents, k=k),
    "batch_topk": lambda shape, latents, k: BatchTopK(shape, latents, k=k),
    "matryoshka": _matryoshka,
    "jumprelu": lambda shape, latents, k: JumpReLU(shape, latents, target_l0=k),
}
_WITH_PENALTY: dict[str, Callable[[Shape, int, float], Dictionary]] = {
    "gated": lambda shape, latents, sparsity: Gated(shape, latents, sparsity=sparsity),
    "relu": lambda shape, latents, sparsity: ReLU(shape, latents, sparsity=sparsity),
}
_CROSS_LAYER: dict[str, Callable[[Shape, int, int], Dictionary]] = {
    "topk": lambda shape, latents, k: CrossLayer(shape, latents, k=k),
    "jumprelu": lambda shape, latents, k: CrossLayerJumpReLU(
        shape, latents, target_l0=k * len(shape.reads)
    ),
}
"""Of cross-layer transcoders k counts for each layer."""

KINDS = (*_WITH_K, *_WITH_PENALTY)
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
    second: str | Path | Model | None = None,
    tokens: int | None = None,
    context: int = 256,
    field: str = "text",
    device: str = "cpu",
    dtype: str = "float32",
    log: Sequence[str] = (),
    split: Split | None = None,
) -> Trained:
    """Train the dictionaries of an order, all in one pass over the text, and save them.

    Below `out/dictionaries` stands a folder for each, an autoencoder in SAELens' format, a TopK
    transcoder in sparsify's and anything else in ours, beside `metrics.jsonl` with the loss, FVU,
    L0 and dead latents of every step. Interrupted, it goes on where it stopped, to the same
    weights; what is done is not done again.

    Started by torchrun, all its processes train together and the first one writes
    (docs/scaling.md).

    Args:
        model: Hub name, local folder, GGUF file, or a loaded model.
        text: a file, a folder or a Hub dataset (`text.sources.read_documents`), or packed text.
        order: what to train; TopK on every layer's residual stream when None.
        second: another model of the same width and vocabulary; the dictionaries are then
            crosscoders over both models at a site (model diffing, `dictionaries.paired`).
        tokens, context, field: how much of a text that is not packed yet is read, in rows of how
            many tokens, from which column.
        device, dtype: as `tomogram.load` takes them.
        log: tools that get the metrics, too (`dictionaries.loggers.TOOLS`), below `out/logs`.
        split: how the processes of torchrun share the work.

    Raises:
        TomogramError: model or text cannot be used, the model has no such place, the two models
            do not fit together, the text is too short, the training diverges, the folder cannot
            be written, or another process is lost.
    """
    order, split = order or Order(), split or Split()
    with joined(device, timeout=split.timeout) if launched() else nullcontext() as world:
        job = _prepared(model, second, text, out, order, tokens, context, field, device, dtype, log)
        if world is not None:
            return _together(job, world, split)
        dictionaries = ordered(job.model, order, job.second)
        with exclusive(Path(out)):
            path = job.stage.run(lambda work: _body(job, dictionaries, work))
        return job.trained(path)


@dataclass(frozen=True, eq=False)
class _Job:
    """An order with all that it needs."""

    model: Model
    second: Model | None
    text: PackedText
    order: Order
    stage: Stage
    logs: tuple[Opener, ...]

    def trained(self, path: Path) -> Trained:
        made = tuple(dictionary.to(self.model.device) for dictionary in own.read(path))
        return Trained(made, path, self.text.n_tokens)


def _prepared(
    model: str | Path | Model,
    second: str | Path | Model | None,
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
    other = None if second is None else given_model(second, device=device, dtype=dtype)
    if other is not None and launched():
        raise TomogramError("Crosscoders over two models are trained by one process.")
    logs = tuple(opener(tool, Path(out) / "logs") for tool in log)
    # Says what is wrong with an order before a text is read.
    with torch.device("meta"):
        ordered(model, order, other)
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
            **({} if other is None else {"second": other.digest}),
            **{name: list(v) if isinstance(v, tuple) else v for name, v in asdict(order).items()},
        },
    )
    return _Job(model, other, text, order, stage, logs)


def ordered(model: Model, order: Order, second: Model | None = None) -> list[Dictionary]:
    """The dictionaries of an order before training.

    Raises TomogramError for a place the model lacks, for kinds that do not go with a place, and for
    a second model that does not fit the first.
    """
    shapes = dict.fromkeys(shape for place in order.places for shape in _shapes(model, place))
    if second is not None:
        shapes = dict.fromkeys(_over_both(shape, model, second) for shape in shapes)
    found = []
    for shape in shapes:
        one_site = shape.d_in // (len(shape.reads) * shape.models)
        for latents in _each(order.latents) or (8 * one_site,):
            for kind in _each(order.kind):
                found += of_kind(shape, latents, kind, order)
    names_of(found)  # says where two are alike
    return found


def of_kind(shape: Shape, latents: int, kind: str, order: Order) -> list[Dictionary]:
    """The dictionaries of one kind, one for each k where it has one."""
    if len(shape.reads) > 1 and not shape.is_autoencoder:
        if kind not in _CROSS_LAYER:
            raise TomogramError(
                f"A cross-layer transcoder is of kind {' or '.join(_CROSS_LAYER)}, not {kind}."
            )
        whole = latents * len(shape.reads)
        return [_CROSS_LAYER[kind](shape, whole, k) for k in _each(order.k)]
    if kind in _WITH_PENALTY:
        return [_WITH_PENALTY[kind](shape, latents, order.sparsity)]
    return [_WITH_K[kind](shape, latents, k) for k in _each(order.k)]


def _over_both(shape: Shape, model: Model, second: Model) -> Shape:
    if len(shape.reads) > 1 or not shape.is_autoencoder:
        raise TomogramError("Over two models a dictionary reads one site, such as resid_post.3.")
    (site,) = shape.reads
    same = (model.d_model, model.d_vocab) == (second.d_model, second.d_vocab)
    if not same or site not in second.sites:
        raise TomogramError(
            f"{second.name} has another width or vocabulary than {model.name}, or no {site}."
        )
    return paired_shape(site, shape.d_in)


def _shapes(model: Model, place: str) -> list[Shape]:
    """The shapes at a place; a kind without its layer stands for every layer's."""
    kind, _, layer = place.partition(".")
    width = model.d_model
    if kind in (TRANSCODER, SKIP_TRANSCODER):
        sites = sites_named(model, f"mlp_in.{layer}" if layer else "mlp_in")
        return [transcoder(site.layer or 0, width, skip=kind != TRANSCODER) for site in sites]
    if place == CROSSCODER:
        return [crosscoder(sites_named(model, "resid_post"), width)]
    if place == CROSS_LAYER:
        return [cross_layer_transcoder(len(sites_named(model, "mlp_in")), width)]
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
    sites = _sites(dictionaries)
    source: trainer.Source = _buffer(job, job.model, sites)
    if job.second is not None:
        source = Paired(source, _buffer(job, job.second, sites), sites)
    _save(_trained(job, dictionaries, source, work.checkpoints), job, work)


def _buffer(job: _Job, model: Model, sites: list[Site]) -> ShuffleBuffer:
    """Mixed activations of a model; those of two models are in the same order."""
    return ShuffleBuffer(
        model,
        job.text,
        sites,
        capacity=job.order.buffer_tokens,
        batch_tokens=job.order.batch_tokens,
        batch_rows=_rows_at_once(job.text),
        seed=job.order.seed,
    )


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
    for name, dictionary in zip(names_of(trained), trained, strict=True):
        own.save(
            dictionary, work.results, model=job.model.name, context=job.text.context, name=name
        )
    metrics = (work.checkpoints / "metrics.jsonl").read_bytes()
    write_bytes(work.results / "metrics.jsonl", metrics)


def _sites(dictionaries: list[Dictionary]) -> list[Site]:
    return sorted({s for d in dictionaries for s in (*d.shape.reads, *d.shape.writes)}, key=str)


def _rows_at_once(text: PackedText) -> int:
    return max(1, TOKENS_AT_ONCE // text.context)
