"""Blocks: the rows of a batch are shared out to threads, each of which computes alone.

Parallel regions of torch wait for each other by spinning. Where they alternate with work of one
thread, the other threads burn processor time, as much as the work itself. Here each thread takes a
block of rows through all steps, so that nobody waits. What a block gives does not depend on the
number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from queue import SimpleQueue
from threading import Barrier
from typing import TypeVar

import torch

_T = TypeVar("_T")


def over_blocks(
    work: Callable[[slice, _T], None], rows: int, size: int, scratch: Callable[[int], _T]
) -> None:
    """Calls `work` for each block of at most `size` rows, with a scratch of its own meanwhile.

    On as many threads as torch uses, on each of which torch uses one, and without gradients.
    scratch: makes one for blocks of so many rows; they are made before the work begins, because
    large blocks of memory taken and given back between small ones that stay leave gaps.
    An error in a block is raised here.
    """
    spans = [slice(first, min(first + size, rows)) for first in range(0, rows, size)]
    threads = min(torch.get_num_threads(), len(spans))
    spare: SimpleQueue[_T] = SimpleQueue()
    for _ in range(threads):
        spare.put(scratch(min(size, rows)))

    def alone(span: slice) -> None:
        own = spare.get()
        try:
            with torch.no_grad():
                work(span, own)
        finally:
            spare.put(own)

    if threads < 2:
        for span in spans:
            alone(span)
        return
    # The list raises what a block has raised.
    list(_pool(torch.get_num_threads()).map(alone, spans))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads on which torch computes without threads of its own."""
    started = Barrier(threads)

    def begin() -> None:
        # A thread's first question after its number takes over the number set last: asked first.
        torch.get_num_threads()
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(threads, "tomogram-blocks", begin)
    # As many tasks as threads: none is done before all threads have begun.
    list(pool.map(int, range(threads)))
    # Threads that are yet to come begin with the number that was set last.
    torch.set_num_threads(threads)
    return pool


if hasattr(os, "register_at_fork"):
    # Threads do not live on in a child process.
    os.register_at_fork(after_in_child=_pool.cache_clear)
