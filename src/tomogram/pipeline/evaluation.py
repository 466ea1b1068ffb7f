"""Evaluating dictionaries: every measure of `tomogram.evaluation`, from files to one record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from tomogram.activations.stream import stream, widths
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import load as formats
from tomogram.dictionaries.pca import Moments
from tomogram.dictionaries.splice import Splice
from tomogram.dictionaries.trainer import gather
from tomogram.evaluation import labelled, reconstruction
from tomogram.evaluation.attributes import disentangled
from tomogram.evaluation.baselines import Baselines, baselines, moments_of
from tomogram.evaluation.codes import Halves, Place, half
from tomogram.evaluation.entities import people
from tomogram.evaluation.halves import TextHalves, halves
from tomogram.evaluation.labels import chosen
from tomogram.evaluation.records import Cost, Evaluated, Evaluation, Flat, Together
from tomogram.evaluation.splicing import (
    Family,
    families,
    predicting_rows,
    price_with_divergence,
    single,
)
from tomogram.models.model import Model
from tomogram.pipeline.given import given_model
from tomogram.reference.shipped import world_of
from tomogram.store import progress
from tomogram.store.allocator import keep_freed_memory
from tomogram.store.errors import TomogramError
from tomogram.store.schema import NotMeasured
from tomogram.text.packing import PackedText

_SAMPLE = 8_192
"""Tokens on which L0 and the scale of the random baseline are fixed beforehand."""


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    tokens: of the text that are read, half of them for choosing and half for measuring.
    context: tokens in a row, where the model reads as many.
    rows: of the measuring half on which costs are taken.
    label_tokens: of each half on which labels are probed.
    labels: at most so many.
    least: tokens of each half a label must be true of.
    """

    tokens: int = 100_000
    context: int = 256
    rows: int = 48
    label_tokens: int = 20_000
    labels: int = 96
    least: int = 30

    def __post_init__(self) -> None:
        for name in ("tokens", "rows", "label_tokens", "labels", "least"):
            if getattr(self, name) < 1:
                raise TomogramError(f"{name} must be 1 or more, not {getattr(self, name)}.")
        if self.context < 2:
            raise TomogramError("A row of one token predicts nothing; context must be 2 or more.")


@dataclass(frozen=True, eq=False)
class _Setting:
    """What all measures of one evaluation share; `columns` are the labels that are probed."""

    model: Model
    text: TextHalves
    extent: Extent
    seed: int
    columns: list[int]

    @property
    def batch_rows(self) -> int:
        return _batch_rows(self.model, self.text)


def evaluate(
    dictionaries: str | Path | Sequence[Dictionary],
    *,
    model: str | Path | Model | None = None,
    text: str | Path | PackedText | None = None,
    extent: Extent | None = None,
    seed: int = 0,
    field: str = "text",
    device: str = "cpu",
    dtype: str = "float32",
    allow_pickle: bool = False,
) -> Evaluation:
    """Measure how good dictionaries are on held-out text; docs/evaluation.md says how.

    Args:
        dictionaries: a folder, a place on the Hub (`dictionaries.formats.load.locate`), or
            dictionaries in memory.
        model: Hub name, local folder, GGUF file, or a loaded model; the shipped reference model
            when None.
        text: a file, a folder or a Hub dataset that the dictionaries were not trained on, packed
            text, or `microworld`, which is also what a model of the microworld reads when None.
        extent: how much is measured.
        seed: decides every random choice.
        field, device, dtype, allow_pickle: as `tomogram.train` and `tomogram.load` take them.

    Raises:
        TomogramError: the model, the text or the dictionaries cannot be used or do not belong
            together, or the text is too short.
    """
    keep_freed_memory()
    extent = extent or Extent()
    loaded = given_model(model, device=device, dtype=dtype, allow_pickle=allow_pickle)
    read = halves(
        loaded,
        text,
        tokens=extent.tokens,
        context=min(extent.context, loaded.context),
        seed=seed,
        field=field,
    )
    source, named = _dictionaries(dictionaries, loaded, read.selection.text, allow_pickle)
    return _measured(loaded, read, source, named, extent, seed)


def _dictionaries(
    source: str | Path | Sequence[Dictionary],
    model: Model,
    text: PackedText,
    allow_pickle: bool,
) -> tuple[str, dict[str, Dictionary]]:
    """Where they come from, and the dictionaries by names that differ."""
    if isinstance(source, str | Path):
        found: Sequence[Dictionary] = formats.load(source, model, text, allow_pickle=allow_pickle)
        # A folder of this machine is known to others by its own name alone.
        folder = Path(source).expanduser()
        name = folder.resolve().name if folder.is_dir() else str(source)
    else:
        name, found = "memory", source
    if not found:
        raise TomogramError("There is no dictionary to evaluate.")
    _check(model, found)
    seen: Counter[str] = Counter()
    named = {}
    for dictionary in found:
        seen[dictionary.name] += 1
        number = seen[dictionary.name]
        named[dictionary.name if number == 1 else f"{dictionary.name}#{number}"] = dictionary
    return name, named


def _check(model: Model, dictionaries: Sequence[Dictionary]) -> None:
    """Raise a TomogramError where the model lacks a dictionary's site, or has another width."""
    sites = {s for d in dictionaries for s in (*d.shape.reads, *d.shape.writes)}
    model.check_sites(sites)
    width = widths(model, sorted(sites, key=str), 1)
    for dictionary in dictionaries:
        for own, side in ((dictionary.d_in, "reads"), (dictionary.d_out, "writes")):
            there = sum(width[site] for site in getattr(dictionary.shape, side))
            if own != there:
                raise TomogramError(
                    f"{dictionary.name} {side} activations of width {own}, but the model's have "
                    f"{there}: it belongs to another model."
                )


def _batch_rows(model: Model, text: TextHalves) -> int:
    """Rows in one forward pass: a few thousand tokens, fewer for a wide model."""
    tokens = max(512, min(8192, 4_000_000 // model.d_model))
    return max(1, tokens // text.measurement.text.context)


def _measured(
    model: Model,
    text: TextHalves,
    source: str,
    named: Mapping[str, Dictionary],
    extent: Extent,
    seed: int,
) -> Evaluation:
    measurement = text.measurement.text
    batch_rows = _batch_rows(model, text)
    rows = predicting_rows(measurement)[: extent.rows]
    columns = chosen(
        text.labels,
        [
            part.first(extent.label_tokens, list(range(len(text.labels)))).truth
            for part in (text.selection, text.measurement)
        ],
        most=extent.labels,
        least=extent.least,
        seed=seed,
    )
    setting = _Setting(model, text, extent, seed, columns)
    beside = _beside(setting, named)
    together, clashing = _together(named)
    sets = {who: splices for name, b in beside.items() for who, splices in _alone(named, name, b)}
    sets |= {_all(family): [Splice.of(named[n]) for n in own] for family, own in together.items()}
    priced = price_with_divergence(
        model, measurement.take(rows), sets, batch_rows=batch_rows, seed=seed
    )
    with progress.task("reconstruction", total=measurement.n_tokens, unit="tokens") as task:
        readings = reconstruction.read(
            model,
            measurement,
            {**named, **{_random(name): b.writing["random"] for name, b in beside.items()}},
            {name: b.projection for name, b in beside.items()},
            batch_rows=batch_rows,
            advance=task.advance,
        )
    found, missing = [], _always_missing(setting)
    with progress.task("measures", total=len(named), unit="dictionaries") as task:
        for name, dictionary in named.items():
            task.note(name)
            own, without = _one(setting, name, dictionary, beside.get(name), readings, priced.costs)
            found.append(own)
            missing += without
            task.advance()
    return Evaluation(
        model=model.name,
        model_digest=model.digest,
        source=source,
        text=text.name,
        text_digest=measurement.digest,
        labels=text.kind,
        selection_tokens=text.selection.text.n_tokens,
        measured_tokens=measurement.n_tokens,
        context=measurement.context,
        seed=seed,
        loss=priced.loss,
        together=tuple(
            Together(family=family, dictionaries=own, cost=priced.costs[_all(family)])
            for family, own in together.items()
        ),
        dictionaries=tuple(found),
        not_measured=tuple(missing + clashing),
    )


def _random(name: str) -> str:
    """Under which name the random baseline of a dictionary is read and priced."""
    return f"{name}, random"


def _flat(name: str) -> str:
    """Under which name the projection beside a dictionary is priced."""
    return f"{name}, projection"


def _all(family: str) -> str:
    """Under which name all dictionaries of a family at once are priced."""
    return f"all {family}"


def _alone(
    named: Mapping[str, Dictionary], name: str, beside: Baselines
) -> list[tuple[str, list[Splice]]]:
    """A dictionary and its baselines, each to be priced by itself."""
    write = named[name].write
    return [
        (name, [Splice.of(named[name])]),
        (_flat(name), [Splice(write, write, beside.projection)]),
        (_random(name), [Splice.of(beside.writing["random"])]),
    ]


def _beside(setting: _Setting, named: Mapping[str, Dictionary]) -> dict[str, Baselines]:
    """The baselines of every dictionary of one site each way, fitted on the selection half."""
    model, text = setting.model, setting.text.selection.text
    one = {name: d for name, d in named.items() if single(d)}
    if not one:
        return {}
    places = [place for d in one.values() for place in (d.shape.reads, d.shape.writes)]
    moments: dict[Place, Moments] = moments_of(model, text, places, batch_rows=setting.batch_rows)
    some = text.take(slice(max(1, _SAMPLE // text.context)))
    sample = _activations(setting, some, places)
    active = reconstruction.read(model, some, one, {}, batch_rows=setting.batch_rows)
    return {
        name: baselines(d, active[name].sparsity.l0, moments, sample, setting.seed)
        for name, d in one.items()
    }


def _activations(
    setting: _Setting, text: PackedText, places: Sequence[Place]
) -> dict[Place, Float[Tensor, "tokens d"]]:
    sites = sorted({site for place in places for site in place}, key=str)
    batches = list(stream(setting.model, text, sites, batch_rows=setting.batch_rows))
    return {
        place: torch.cat([gather(batch, place).float() for batch in batches])
        for place in dict.fromkeys(places)
    }


def _one(
    setting: _Setting,
    name: str,
    dictionary: Dictionary,
    beside: Baselines | None,
    readings: Mapping[str, reconstruction.Reading],
    costs: Mapping[str, Cost],
) -> tuple[Evaluated, list[NotMeasured]]:
    """Everything of one dictionary."""
    seed = setting.seed
    shape = dictionary.shape
    own = Evaluated(
        name=name,
        kind=dictionary.kind,
        reads=tuple(map(str, shape.reads)),
        writes=tuple(map(str, shape.writes)),
        d_in=dictionary.d_in,
        d_out=dictionary.d_out,
        d_dict=dictionary.d_dict,
        reconstruction=reconstruction.summarise(dictionary, readings[name], seed=seed),
    )
    if beside is None:
        why = "It reads or writes several sites, and these measures need one site each way."
        return own, [NotMeasured(what=f"All but the reconstruction of {name}", why=why)]
    own = own.model_copy(
        update={
            "pca": Flat(
                rank=beside.projection.directions.shape[1],
                fvu=reconstruction.fvu(readings[name].flat, seed=seed),
                rise=costs[_flat(name)].rise,
            ),
            "random": Flat(
                rank=max(1, round(readings[_random(name)].sparsity.l0)),
                fvu=reconstruction.fvu(readings[_random(name)].rows, seed=seed),
                rise=costs[_random(name)].rise,
            ),
            "cost": costs[name],
        }
    )
    with_labels, missing = _labelled(setting, name, dictionary, beside)
    own = own.model_copy(update=with_labels)
    world = world_of(setting.model)
    if world is not None:
        swapped = disentangled(
            setting.model, people(world), {"dictionary": dictionary, **beside.writing}, seed=seed
        )
        if isinstance(swapped, NotMeasured):
            missing.append(swapped)
        else:
            own = own.model_copy(update={"disentanglement": swapped})
    return own, missing


def _labelled(
    setting: _Setting, name: str, dictionary: Dictionary, beside: Baselines
) -> tuple[dict[str, object], list[NotMeasured]]:
    """Probing, concept F1 and absorption."""
    if not setting.columns:
        return {}, []
    reads, writes, seed = dictionary.shape.reads, dictionary.shape.writes, setting.seed
    parts = []
    for part in (setting.text.selection, setting.text.measurement):
        some = part.first(setting.extent.label_tokens, setting.columns)
        parts.append(
            half(
                setting.model,
                some.text,
                some.truth,
                (reads, writes),
                batch_rows=setting.batch_rows,
            )
        )
    both = Halves(tuple(setting.text.labels[n] for n in setting.columns), *parts)
    drawn = labelled.draws(both, seed)
    subjects = {"dictionary": dictionary, **beside.reading}
    codes = {who: labelled.coded(subject, both) for who, subject in subjects.items()}
    probes, scores = labelled.probed(both, drawn, reads)
    found: dict[str, object] = {
        "probing": labelled.probing(codes, drawn, scores, seed=seed),
        "concept_f1": labelled.concept_f1(both, codes, reads, seed=seed),
    }
    if reads != writes:
        subjects = {"dictionary": dictionary, **beside.writing}
        codes = {who: labelled.coded(subject, both) for who, subject in subjects.items()}
        probes, scores = labelled.probed(both, drawn, writes)
    absorbed = labelled.absorbed(both, subjects, codes, drawn, probes, scores, seed=seed)
    if absorbed is None:
        why = (
            f"No label of {labelled.LEAST_WORDS} words or more has a linear probe of F1 "
            f"{labelled.READABLE} or better at {dictionary.write}."
        )
        return found, [NotMeasured(what=f"Absorption at {name}", why=why)]
    return {**found, "absorption": absorbed}, []


def _together(
    named: Mapping[str, Dictionary],
) -> tuple[dict[Family, tuple[str, ...]], list[NotMeasured]]:
    """The names of the dictionaries of each shape that can all be in the model at once."""
    found: dict[Family, tuple[str, ...]] = {}
    missing = []
    names = {id(dictionary): name for name, dictionary in named.items()}
    for family, members in families(list(named.values())).items():
        sites = [dictionary.write for dictionary in members]
        if len(set(sites)) < len(sites):
            twice = next(site for site in sites if sites.count(site) > 1)
            why = f"Several of them write {twice}; only one can take its place in the model."
            missing.append(NotMeasured(what=f"The cost of all {family} at once", why=why))
            continue
        found[family] = tuple(names[id(dictionary)] for dictionary in members)
    return found, missing


def _always_missing(setting: _Setting) -> list[NotMeasured]:
    """What this model and this text cannot tell of any dictionary."""
    missing = [
        NotMeasured(
            what="Mean max cosine and matched F1 against true directions",
            why="The true directions of a trained model are not known; they are where data are "
            "planted (tomogram.evaluation.recovery).",
        )
    ]
    if world_of(setting.model) is None:
        missing.append(
            NotMeasured(
                what="Disentanglement",
                why="Entities with known attributes are known for models of the microworld alone.",
            )
        )
    if not setting.columns:
        least = setting.extent.least
        missing.append(
            NotMeasured(
                what="Probing, concept F1 and absorption",
                why=f"No label is true of {least} tokens or more in both halves of the text.",
            )
        )
    return missing
