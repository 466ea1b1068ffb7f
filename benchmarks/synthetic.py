"""A scan's folder of many features, made up: what searches and the viewer are timed on.

Written in the product's own format: words by Zipf's law, dictionaries of random weights, relations
at random. Two of the exemplars of each feature are its top ones, the others spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import own
from tomogram.dictionaries.shape import Shape, autoencoder, transcoder
from tomogram.dictionaries.topk import TopK
from tomogram.features.exemplars import REACH
from tomogram.features.related import RELATED
from tomogram.features.statistics import BINS
from tomogram.features.tables import EXEMPLARS, FEATURES, ROW_GROUP
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.pipeline.searching import Search
from tomogram.report.tomogram import Tomogram
from tomogram.text.packing import PackedText
from tomogram.text.spelling import save_spelling, spell

TEXT_TOKENS, CONTEXT = 262_144, 256
FIRST_WORD = 300
"""Ids below stand for no words."""


def shapes(model: Model) -> list[Shape]:
    """An autoencoder of the residual stream and a transcoder of the MLP for each layer."""
    return [
        shape
        for layer in range(model.n_layers)
        for shape in (
            autoencoder(Site("resid_post", layer), model.d_model),
            transcoder(layer, model.d_model),
        )
    ]


def made_scan(
    folder: Path, model: Model, units: int, rng: np.random.Generator, *, exemplars: int
) -> Search:
    """Write a scan of so many features as far as searches read it, and open it."""
    for name in ("features", "text", "dictionaries"):
        (folder / name).mkdir()
    dictionaries = _dictionaries(model, units)
    for dictionary in dictionaries:
        own.save(dictionary, folder / "dictionaries", model=model.name, context=CONTEXT)
    spelling = (
        spell(model.tokenizer, model.d_vocab)
        if model.tokenizer is not None
        else tuple(f" w{i}" for i in range(model.d_vocab))
    )
    save_spelling(spelling, folder / "text" / "vocabulary.json")
    zipf = rng.zipf(1.2, TEXT_TOKENS) - 1 + FIRST_WORD
    shape = (TEXT_TOKENS // CONTEXT, CONTEXT)
    ids = np.minimum(zipf, model.d_vocab - 1).astype(np.int32).reshape(shape)
    documents = np.arange(TEXT_TOKENS, dtype=np.int32).reshape(shape) // 200
    PackedText(ids, documents).save(folder / "text" / "train.safetensors")
    sizes = [each.d_dict for each in dictionaries]
    family = np.repeat([each.name for each in dictionaries], sizes)
    unit = np.concatenate([np.arange(size) for size in sizes])
    _write_features(folder, model, dictionaries, family, unit, spelling, rng)
    _write_exemplars(folder, family, unit, exemplars, rng)
    _write_related(folder, family, unit, rng)
    # A manifest says much that no search reads; the model's digest is all that is compared.
    manifest = SimpleNamespace(model=SimpleNamespace(digest=model.digest, name=model.name))
    return Search(Tomogram(folder, cast(Any, manifest)), model)


def words_of(search: Search) -> list[str]:
    """The words of its text, the commonest first."""
    spelled = (word.strip() for word in search.tomogram.spelling[FIRST_WORD:])
    return [word for word in spelled if word.isalpha() and len(word) > 2]


def _dictionaries(model: Model, units: int) -> list[Dictionary]:
    wanted = shapes(model)
    torch.manual_seed(0)
    found: list[Dictionary] = []
    for shape in wanted:
        dictionary = TopK(shape, units // len(wanted), k=32).requires_grad_(False)
        for parameter in dictionary.parameters():
            torch.nn.init.normal_(parameter)
        found.append(dictionary)
    return found


def _write_features(
    folder: Path,
    model: Model,
    dictionaries: Sequence[Dictionary],
    family: np.ndarray,
    unit: np.ndarray,
    spelling: Sequence[str],
    rng: np.random.Generator,
) -> None:
    n = len(unit)
    histogram = rng.poisson(20, (n, BINS)).astype(np.int64)
    promoted = rng.integers(0, model.d_vocab, (n, 10), dtype=np.int32)
    words = rng.integers(FIRST_WORD, model.d_vocab, n)
    labels = [f"on “{spelling[word]}”" if i % 3 else None for i, word in enumerate(words)]
    layers = {each.name: each.shape.reads[0].layer or 0 for each in dictionaries}
    given: dict[str, Any] = {
        "family": family,
        "kind": ["latent"] * n,
        "layer": [layers[name] for name in family],
        "unit": unit,
        "index": unit,
        "side": np.ones(n),
        "tokens": np.full(n, 1_000_000),
        "count": histogram.sum(1),
        "rate": histogram.sum(1) / 1e6,
        "largest": rng.random(n),
        "mean": rng.random(n) / 2,
        "histogram": pa.FixedSizeListArray.from_arrays(histogram.reshape(-1), BINS),
        "promoted": list(promoted),
        "promoted_by": list(rng.random((n, 10)).astype(np.float32)),
        "suppressed": list(promoted[::-1]),
        "suppressed_by": list(-rng.random((n, 10)).astype(np.float32)),
        "label": labels,
        "label_f1": [score if i % 3 else None for i, score in enumerate(rng.random(n))],
    }
    _write(folder / "features" / "features.parquet", FEATURES, given, n)


def _write_exemplars(
    folder: Path, family: np.ndarray, unit: np.ndarray, each: int, rng: np.random.Generator
) -> None:
    n = len(unit) * each
    window = np.zeros((n, 2 * REACH + 1), np.uint8)
    window[:, REACH] = 255
    given = {
        "family": np.repeat(family, each),
        "unit": np.repeat(unit, each),
        "kind": ["top" if i < 2 else "spread" for i in range(each)] * len(unit),
        "rank": np.tile(np.arange(each), len(unit)),
        "position": rng.integers(0, TEXT_TOKENS, n),
        "activation": np.ones(n),
        "peak": np.ones(n),
        "activations": pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(2 * REACH + 1), n, [None, pa.py_buffer(window.tobytes())]
        ),
    }
    _write(folder / "features" / "exemplars.parquet", EXEMPLARS, given, n)


def _write_related(
    folder: Path, family: np.ndarray, unit: np.ndarray, rng: np.random.Generator
) -> None:
    each = 8
    other = rng.integers(0, len(unit), len(unit) * each)
    given = {
        "family": np.repeat(family, each),
        "unit": np.repeat(unit, each),
        "relation": ["cofires"] * len(other),
        "rank": np.tile(np.arange(each), len(unit)),
        "other_family": family[other],
        "other_unit": unit[other],
        "score": rng.random(len(other)),
    }
    _write(folder / "features" / "related.parquet", RELATED, given, len(other))


def _write(path: Path, schema: pa.Schema, given: dict[str, Any], n: int) -> None:
    columns = []
    for field in schema:
        column = given.get(field.name)
        if column is None:
            columns.append(pa.nulls(n, field.type))
        elif isinstance(column, pa.Array):
            columns.append(column.cast(field.type))
        elif pa.types.is_dictionary(field.type):
            columns.append(pa.array(list(column), pa.string()).dictionary_encode().cast(field.type))
        else:
            columns.append(pa.array(column, field.type))
    table = pa.table(columns, schema=schema)
    pq.write_table(table, path, row_group_size=ROW_GROUP, compression="zstd")
