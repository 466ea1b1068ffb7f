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
from threading import Barrier
from typing import TypeVar

import torch

_T = TypeVar("_T")


def over_blocks(work: Callable[[slice], _T], rows: int, size: int) -> list[_T]:
    """What `work` gives for each block of at most `size` rows, in order.

    On as many threads as torch uses, on each of which torch uses one, and without gradients.
    An error in a block is raised here.
    """
    spans = [slice(first, min(first + size, rows)) for first in range(0, rows, size)]

    def alone(span: slice) -> _T:
        with torch.no_grad():
            return work(span)

    threads = torch.get_num_threads()
    if threads == 1 or len(spans) < 2:
        return [alone(span) for span in spans]
    return list(_pool(threads).map(alone, spans))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads on which torch computes without threads of its own."""
    started = Barrier(threads)

    def begin() -> None:
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
