"""Harvest: activations of any amount of text to sharded safetensors, within a memory limit.

A device computes the next batches while one is written in the background. On a CPU the forward
pass has all cores, and whoever else wants one stops them all, because each waits for the slowest:
there a batch is computed, and then written by all cores.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path

import torch

from tomogram.activations.harvested import TEXT_FILE, Harvest, open_harvest
from tomogram.activations.manifest import Contents, Manifest, Shard, read_manifest
from tomogram.activations.shard import ShardWriter
from tomogram.activations.stream import Batch, stream, widths
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.allocator import keep_freed_memory
from tomogram.store.atomic import explained
from tomogram.store.errors import TomogramError
from tomogram.store.lock import exclusive
from tomogram.store.progress import Task, task
from tomogram.text.packing import PackedText

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

BATCH_TOKENS = {"cpu": 512}
"""Tokens in one forward pass, where memory allows.  On a CPU what is kept of so few still lies in
the cache when it is written, and the allocator has no need to ask the system for new pages."""

MANY_TOKENS = 8192
"""The same for other devices, which need more to be busy."""

IN_FLIGHT = 3
"""Batches in memory at once: one computed, one waiting, one written."""


def harvest(
    model: Model,
    text: PackedText,
    sites: Sequence[Site],
    folder: str | Path,
    *,
    dtype: str | None = None,
    memory: int = 1 << 30,
    shard_bytes: int = 1 << 30,
) -> Harvest:
    """Write the activations at some sites to a folder of safetensors files.

    Each shard has one tensor ``[tokens width]`` a site, named like the site; ``harvest.json`` says
    what is where, and the packed text lies beside it.  It is safe to kill the process at any
    moment: the same call goes on after the last whole shard, and does nothing when all are there.
    The files are not flushed to the disk one by one; after a power cut, ``Harvest.verify`` tells
    whether they are whole.

    Args:
        dtype: "float32", "bfloat16" or "float16"; the model's own when None.
        memory: bytes of activations held at once, whatever the amount of text; the model and what
            it needs for one forward pass come on top.
        shard_bytes: about how large a shard is.

    Raises:
        TomogramError: no site is given or the model lacks one; the memory is too small for one row;
            the disk is full or cannot be written; the folder holds another harvest, or another
            process writes to it.
    """
    keep_freed_memory()
    folder = Path(folder)
    contents = _contents(model, text, sites, dtype, shard_bytes)
    batch_rows = _batch_rows(model, contents, memory)
    with exclusive(folder), explained(folder):
        manifest = read_manifest(folder) or Manifest(contents=contents)
        if manifest.contents != contents:
            raise TomogramError(
                f"{folder} holds another harvest (other model, text, sites, dtype or shard size); "
                "choose another folder."
            )
        if not manifest.complete:
            _require_room(folder, manifest)
            text.save(folder / TEXT_FILE)
            _shards(model, text, folder, manifest, batch_rows)
    return open_harvest(folder)


def _contents(
    model: Model, text: PackedText, sites: Sequence[Site], dtype: str | None, shard_bytes: int
) -> Contents:
    if not sites:
        raise TomogramError("A harvest needs at least one site.")
    name = str(model.dtype).removeprefix("torch.") if dtype is None else dtype
    if name not in DTYPES:
        raise TomogramError(f"The dtype of a harvest is {', '.join(DTYPES)}, not '{name}'.")
    by_site = widths(model, tuple(dict.fromkeys(sites)), text.context)
    row = sum(by_site.values()) * text.context * DTYPES[name].itemsize
    return Contents.model_validate(
        {
            "model": model.name,
            "model_digest": model.digest,
            "text_digest": text.digest,
            "rows": text.rows,
            "context": text.context,
            "sites": {str(site): by_site[site] for site in sorted(by_site, key=str)},
            "dtype": name,
            "shard_rows": max(shard_bytes // row, 1),
        }
    )


def _batch_rows(model: Model, contents: Contents, memory: int) -> int:
    row = sum(contents.sites.values()) * contents.context * model.dtype.itemsize
    rows = memory // (IN_FLIGHT * row)
    if rows == 0:
        raise TomogramError(
            f"A memory of {memory:,} bytes is too small: one row of these sites needs "
            f"{IN_FLIGHT * row:,}; choose fewer sites or a shorter context."
        )
    tokens = BATCH_TOKENS.get(model.device.type, MANY_TOKENS)
    return min(rows, max(tokens // contents.context, 1))


def _require_room(folder: Path, manifest: Manifest) -> None:
    contents = manifest.contents
    rows = contents.rows - len(manifest.shards) * contents.shard_rows
    token = sum(contents.sites.values()) * DTYPES[contents.dtype].itemsize
    needed, free = rows * contents.context * token, shutil.disk_usage(folder).free
    if needed > free:
        raise TomogramError(
            f"The harvest needs {needed / 1e9:.1f} GB, and the disk of {folder} has only "
            f"{free / 1e9:.1f} GB left."
        )


def _shards(
    model: Model, text: PackedText, folder: Path, manifest: Manifest, batch_rows: int
) -> None:
    """Write the shards that are missing, each with its entry in the manifest."""
    contents = manifest.contents
    sites = {Site.parse(name): width for name, width in contents.sites.items()}
    total = contents.rows * contents.context
    done = len(manifest.shards) * contents.shard_rows * contents.context
    write_all = _in_turns if model.device.type == "cpu" else _overlapping
    with (
        ThreadPoolExecutor(torch.get_num_threads(), "harvest") as threads,
        task("harvest", total=total, unit="tokens", done=done) as progress,
    ):
        for number in range(len(manifest.shards), contents.n_shards):
            path = folder / f"activations-{number:05d}.safetensors"
            rows = contents.shard(number)
            batches = stream(model, text, tuple(sites), batch_rows=batch_rows, rows=rows)
            tokens = len(rows) * contents.context
            with ShardWriter(path, tokens, sites, DTYPES[contents.dtype]) as writer:
                write_all(batches, writer, threads, progress)
            checksums = {str(site): value for site, value in writer.checksums.items()}
            shards = (*manifest.shards, Shard(file=path.name, checksums=checksums))
            manifest = manifest.model_copy(update={"shards": shards})
            manifest.write(folder)


def _in_turns(
    batches: Iterator[Batch], writer: ShardWriter, threads: Executor, progress: Task
) -> None:
    """Compute a batch, write it, compute the next."""
    for batch in batches:
        writer.write(batch.activations, threads)
        progress.advance(_tokens(batch))


def _overlapping(
    batches: Iterator[Batch], writer: ShardWriter, threads: Executor, progress: Task
) -> None:
    """Write each batch in the background while the next are computed."""
    pending: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1, "batch") as background:
        try:
            for batch in batches:
                pending.append(background.submit(writer.write, batch.activations, threads))
                progress.advance(_tokens(batch))
                if len(pending) == IN_FLIGHT:
                    pending.popleft().result()
            for write in pending:
                write.result()
        finally:
            # After an error the shard's file is closed: nobody may still be writing to it.
            wait(pending)


def _tokens(batch: Batch) -> int:
    return next(iter(batch.activations.values())).shape[0]
