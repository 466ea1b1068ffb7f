"""Features: what observing every feature of every layer costs, beside the passes it cannot avoid.

The model is stories15M (a random one of its shape where that is absent) with an autoencoder of the
residual stream and a transcoder for each layer, 8 latents a dimension, 32 firing. The limit is the
bare forward pass and the encoders; it is timed in the same run, batch by batch in turn with the
survey, in seconds of the processor, so that both meet the same machine. A survey's first batches
are its dearest, because everything seen is still among the best; a longer text only lowers the
ratio.

    python -m benchmarks.features [--json] [--quick]

TOMOGRAM_TOKENS sets how many tokens are read (1,000,000 unless told).
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Figure, main, own_memory
from benchmarks.harvest import STORIES, random_text, subject
from benchmarks.synthetic import shapes
from tomogram.activations.stream import stream
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.topk import TopK
from tomogram.features.related import related, write_related
from tomogram.features.survey import Observation, Reader, readers, survey
from tomogram.features.tables import Described, write_tables
from tomogram.models.model import Model
from tomogram.store.allocator import keep_freed_memory
from tomogram.store.digest import digest_file
from tomogram.text.packing import PackedText, pack
from tomogram.text.sources import read_documents

TOKENS = "TOMOGRAM_TOKENS"
CONTEXT, BATCH_ROWS = 256, 16
EXPANSION, K = 8, 32
SLOWDOWN, MEMORY = 1.5, 3 * 2**30
MERGED_TOKENS = 16_384


def measure(quick: bool) -> dict[str, Figure]:
    """Seconds of a survey over those of forward pass and encoders, memory, and merging."""
    keep_freed_memory()
    wanted = int(os.environ.get(TOKENS, 1_000_000))
    model = subject()
    text = read_text(model, 16_384 if quick else wanted)
    dictionaries = made(model, text)
    found = readers(model, text, dictionaries, neurons=())
    survey_seconds, bare_seconds, observed = in_turns(model, text, found, dictionaries)
    with tempfile.TemporaryDirectory() as folder:
        size = written(observed, Path(folder))
        units = sum(own.family.size for own in observed.values())
    return {
        "survey over bare forward and encoders": Figure(
            survey_seconds / bare_seconds, target=SLOWDOWN, at_least=False
        ),
        "tokens": Figure(text.n_tokens),
        "survey, tokens a CPU-second": Figure(text.n_tokens / survey_seconds),
        "peak memory, bytes": Figure(own_memory(), target=MEMORY, at_least=False),
        "tables, bytes per 1,000 features": Figure(size / units * 1_000),
        "two processes merge to the same tables": Figure(
            float(merged_is_equal(model, text, quick)), target=1.0
        ),
    }


def read_text(model: Model, tokens: int) -> PackedText:
    """Stories, over again where there are too few; random tokens where the model has no words."""
    path = STORIES.parents[1] / "text" / "stories.txt"
    if model.tokenizer is None or not path.exists():
        return random_text(model, tokens)
    text = pack(read_documents(str(path)), model.tokenizer, CONTEXT, tokens)
    times = -(-tokens // text.n_tokens)
    documents = [text.documents + i * (int(text.documents.max()) + 1) for i in range(times)]
    rows = max(1, tokens // CONTEXT)
    return PackedText(np.tile(text.tokens, (times, 1))[:rows], np.concatenate(documents)[:rows])


def made(model: Model, text: PackedText) -> list[Dictionary]:
    """A dictionary for each place, its latents read off real activations.

    Each latent's direction is the activation of some token less the mean, so that as with trained
    ones some fire often and some rarely.
    """
    wanted = shapes(model)
    size = EXPANSION * model.d_model
    rows = np.linspace(0, text.rows - 1, min(text.rows, 2 * size // CONTEXT + 1)).astype(int)
    sites = sorted({s for shape in wanted for s in (*shape.reads, *shape.writes)}, key=str)
    batches = list(stream(model, text, sites, batch_rows=4, rows=np.unique(rows)))
    generator = torch.Generator().manual_seed(0)
    found: list[Dictionary] = []
    for shape in wanted:
        x, y = (
            torch.cat([torch.cat([batch[s] for s in sites], dim=1) for batch in batches])
            for sites in (shape.reads, shape.writes)
        )
        chosen = torch.randint(len(x), (size,), generator=generator)
        dictionary = TopK(shape, size, k=K).requires_grad_(False)
        centred = torch.nn.functional.normalize(x[chosen] - x.mean(0), dim=1)
        dictionary.W_enc.copy_(centred)
        dictionary.b_enc.copy_(-(centred @ x.mean(0)))
        dictionary.W_dec.copy_(torch.nn.functional.normalize(y[chosen] - y.mean(0), dim=1))
        found.append(dictionary)
    return found


def in_turns(
    model: Model, text: PackedText, found: tuple[Reader, ...], dictionaries: list[Dictionary]
) -> tuple[float, float, dict[str, Observation]]:
    """CPU-seconds of the survey and of the bare passes over the same batches, and what was seen."""
    bare = apart = 0.0
    at = 0

    def measured_bare(tokens: int) -> None:
        nonlocal bare, apart, at
        rows = np.arange(at, at + tokens // text.context)
        at += len(rows)
        held, passes = bare_seconds(model, text, rows, dictionaries)
        apart, bare = apart + held, bare + passes

    start = time.process_time()
    observed = survey(model, text, found, batch_rows=BATCH_ROWS, advance=measured_bare)
    for own in observed.values():  # what is still to be sorted belongs to the survey
        own.top.exemplars(), own.spread.exemplars(), own.sketch.entries()
    whole = time.process_time() - start
    return whole - bare - apart, bare, observed


def bare_seconds(
    model: Model, text: PackedText, rows: np.ndarray, dictionaries: list[Dictionary]
) -> tuple[float, float]:
    """CPU-seconds of holding activations for the encoders, which is part of neither side, and of
    transformers' own forward pass and of every encoder."""
    begun = time.process_time()
    sites = sorted({site for each in dictionaries for site in each.shape.reads}, key=str)
    activations = next(iter(stream(model, text, sites, batch_rows=len(rows), rows=rows)))
    tokens = torch.from_numpy(text.tokens[rows].astype(np.int64))
    held = time.process_time()
    with torch.no_grad():
        model.module.base_model(input_ids=tokens, use_cache=False)
        for each in dictionaries:
            parts = [activations[site] for site in each.shape.reads]
            each.encode(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))
    return held - begun, time.process_time() - held


def written(observed: dict[str, Observation], folder: Path) -> int:
    """Bytes of the tables."""
    families = [Described(own, [None] * own.family.size, None) for own in observed.values()]
    write_tables(families, [], folder)
    write_related(related(list(observed.values()), {}), folder)
    return sum(path.stat().st_size for path in folder.iterdir())


def merged_is_equal(model: Model, text: PackedText, quick: bool) -> bool:
    """Whether two processes that read half of the rows each give the tables of one."""
    rows = min(text.rows, (4_096 if quick else MERGED_TOKENS) // CONTEXT)
    part = text.take(np.arange(rows - rows % (2 * BATCH_ROWS) or rows))
    cut = part.rows // 2 // BATCH_ROWS * BATCH_ROWS
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        jobs = [
            pool.submit(observed_rows, part.tokens, part.documents, *span)
            for span in ((0, part.rows), (0, cut), (cut, part.rows))
        ]
        whole, first, second = (job.result() for job in jobs)
    merged = {name: first[name].merge(second[name]) for name in whole}
    digests = []
    for each in (whole, merged):
        with tempfile.TemporaryDirectory() as folder:
            written(each, Path(folder))
            names = sorted(path.name for path in Path(folder).iterdir())
            digests.append([digest_file(Path(folder) / name) for name in names])
    return digests[0] == digests[1]


def observed_rows(
    tokens: np.ndarray, documents: np.ndarray, first: int, end: int
) -> dict[str, Observation]:
    """What a process of its own finds in some rows of a text."""
    torch.set_num_threads(1)
    model = subject()
    text = PackedText(tokens, documents)
    found = readers(model, text, made(model, text), neurons=())
    return survey(model, text, found, batch_rows=BATCH_ROWS, rows=np.arange(first, end))


if __name__ == "__main__":
    # The readers' threads decide the last bits of sums, and one thread is what the limit has too.
    torch.set_num_threads(1)
    main("features", measure)
