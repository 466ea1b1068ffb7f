"""Allocator: memory that was freed stays with the process, to be used again at once."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Names of settings in glibc's malloc.h."""


def keep_freed_memory() -> bool:
    """Ask the C library to keep what is freed; returns whether it agreed.

    Forward passes and training steps free and take the same large blocks over and over. glibc
    gives each back to the system, which clears its pages again before the next use (mallopt(3)).
    Only glibc can be asked; elsewhere nothing happens. It holds for the rest of the process.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
