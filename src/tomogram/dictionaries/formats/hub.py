"""Dictionaries straight from the Hugging Face Hub, by the name of their repository."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatch
from glob import escape
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tomogram.store.errors import TomogramError

# A word of a name that cannot lead out of a folder.
_WORD = r"\w[\w.+=-]*"
_NAME = re.compile(rf"({_WORD}/{_WORD})((?:/{_WORD})*)(?:@({_WORD}(?:/{_WORD})*))?", re.ASCII)

_MOST_BYTES = 64 * 10**9
"""More than this is downloaded only if a folder is named: some repositories hold a terabyte."""


class _Place(NamedTuple):
    """A folder of a repository; `folder` is "" for all of it, `revision` None for the newest."""

    repository: str
    folder: str
    revision: str | None


def is_name(source: str) -> bool:
    """Whether a text can be the name of a place on the Hub."""
    return _NAME.fullmatch(source) is not None


def fetch(
    name: str, files: Sequence[str], *, pickles: Sequence[str] = (), allow_pickle: bool = False
) -> Path:
    """The local folder that holds what matters of `OWNER/NAME[/FOLDER][@REVISION]`.

    Only files whose own name fits one of the patterns `files` are downloaded, and they stay in the
    Hub's cache; what is there already is used without the network, too. Raises TomogramError where
    neither the Hub nor the cache has it, where a file fits `pickles` and those are not allowed, and
    where no folder was named in a repository of more than 64 GB.
    """
    # The client is imported late: reading local folders does not need it.
    from huggingface_hub import HfApi, snapshot_download

    match = _NAME.fullmatch(name)
    if match is None:
        raise TomogramError(f"'{name}' is no name of a repository; they look like OWNER/NAME.")
    place = _Place(match[1], match[2].strip("/"), match[3])
    try:
        info = HfApi().model_info(place.repository, revision=place.revision, files_metadata=True)
    # The Hub client raises errors of many unrelated types when it is offline or refused.
    except Exception as error:
        plain = [pattern for pattern in files if allow_pickle or pattern not in pickles]
        return _cached(name, place, plain, error)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    wanted = [path for path in sizes if _wanted(path, place.folder, files)]
    if not wanted:
        raise TomogramError(f"{name} on the Hub holds no dictionary in a format known here.")
    pickled = [path for path in wanted if _fits(path, pickles)]
    if pickled and not allow_pickle:
        raise TomogramError(
            f"{name} holds the pickle {pickled[0]}, which can run code when read; allow pickles, "
            "which are then read as plain tensors only, or name another folder of it."
        )
    total = sum(sizes[path] for path in wanted)
    if total > _MOST_BYTES and not place.folder:
        folders = sorted({str(PurePosixPath(path).parent) for path in wanted})
        raise TomogramError(
            f"{name} holds {len(folders)} folders of dictionaries, {total / 1e9:.0f} GB: name one "
            f"of them, such as {place.repository}/{folders[0]}."
        )
    try:
        root = snapshot_download(
            place.repository,
            revision=place.revision,
            allow_patterns=[escape(path) for path in wanted],
        )
    except Exception as error:
        raise TomogramError(
            f"{name} could not be downloaded from the Hugging Face Hub: {_reason(error)}."
        ) from error
    return Path(root, place.folder)


def _cached(name: str, place: _Place, files: Sequence[str], reason: Exception) -> Path:
    """What an earlier download left in the cache, if that is all of it."""
    from huggingface_hub import snapshot_download

    inside = f"{escape(place.folder)}/" if place.folder else ""
    patterns = [f"{inside}{above}{pattern}" for pattern in files for above in ("", "*/")]
    try:
        root = snapshot_download(
            place.repository,
            revision=place.revision,
            allow_patterns=patterns,
            local_files_only=True,
        )
    except Exception:
        root = None
    if root is None or not Path(root, place.folder).is_dir():
        raise TomogramError(
            f"There is no folder {name} here, and it could not be had from the Hugging Face Hub or "
            f"its cache: {_reason(reason)}."
        ) from reason
    return Path(root, place.folder)


def _wanted(path: str, folder: str, patterns: Sequence[str]) -> bool:
    parts = PurePosixPath(path)
    inside = not folder or parts.is_relative_to(folder)
    return inside and ".." not in parts.parts and _fits(path, patterns)


def _fits(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(PurePosixPath(path).name, pattern) for pattern in patterns)


def _reason(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
