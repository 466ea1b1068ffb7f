"""Derived: what is made of a finished scan when it is first asked for, such as an index.

It is kept in the scan's folder as a stage of its own, and made again when its inputs change.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tomogram.store.canonical import Json
from tomogram.store.lock import exclusive
from tomogram.store.stage import Stage


def derived(
    folder: Path, name: str, version: int, inputs: Json, body: Callable[[Path], None]
) -> Path:
    """The folder of the results; `body` writes them to the folder it is given, unless they stand.

    A scan that cannot be written is read all the same: what is made of it then lies in a temporary
    folder that goes with this process.

    Args:
        folder: the scan's. name, version, inputs: as `store.stage.Stage` takes them.

    Raises TomogramError where another process writes to the folder.
    """
    stage = Stage(folder, name, version, inputs)
    if stage.done():
        return stage.path
    if os.access(folder, os.W_OK):
        with exclusive(folder):
            return stage.run(lambda work: body(work.results))
    elsewhere = Path(tempfile.mkdtemp(prefix="tomogram-"))
    atexit.register(shutil.rmtree, elsewhere, ignore_errors=True)
    return Stage(elsewhere, name, version, inputs).run(lambda work: body(work.results))
