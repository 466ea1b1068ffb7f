"""Checkpoint: all trainees of a training at one step, in one safetensors file.

The file is the same whether one process trains or several: latents in shards are put together
while it is written, and dealt again while it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tomogram.dictionaries import streamed
from tomogram.dictionaries.across import ALONE, Across, by_latent
from tomogram.dictionaries.dictionary import Dictionary, names_of
from tomogram.dictionaries.trainee import Trainee
from tomogram.store.atomic import writing
from tomogram.store.errors import TomogramError

_FILE = "checkpoint.safetensors"


def write(folder: Path, trainees: Sequence[Trainee], step: int, digest: str) -> None:
    """Replaces the checkpoint of a folder, whole or not at all.

    `digest` names everything the training depends on but its step. All processes of a training
    call it at once; the one that leads writes. Raises TomogramError where the folder cannot be
    written.
    """
    across = trainees[0].dictionary.across if trainees else ALONE
    names = names_of([trainee.dictionary for trainee in trainees])
    tensors = {
        f"{name}.{key}": tensor
        for name, trainee in zip(names, trainees, strict=True)
        for key, tensor in trainee.state().items()
    }
    entries = streamed.in_order(
        streamed.Entry(name, _whole_shape(name, tensor, across), tensor.dtype)
        for name, tensor in tensors.items()
    )

    def pieces() -> Iterator[Tensor]:
        for entry in entries:
            yield from across.pieces(entry.name, tensors[entry.name])

    if not across.leads:
        for _ in pieces():
            pass
        return
    with writing(folder / _FILE) as temporary:
        notes = {"step": str(step), "digest": digest}
        streamed.write(temporary, entries, pieces(), notes)


def read(
    folder: Path, dictionaries: Sequence[Dictionary], digest: str
) -> tuple[list[Trainee], int] | None:
    """The trainees and the step of a folder's checkpoint, with their weights in `dictionaries`.

    None where there is no checkpoint, or where it belongs to a training of another digest. All
    processes of a training call it at once; the one that leads reads.
    Raises TomogramError where the file is damaged.
    """
    across = dictionaries[0].across if dictionaries else ALONE
    path = folder / _FILE
    try:
        found = across.shared(lambda: _contents(path, digest))
        if found is None:
            return None
        step, entries = found
        states: list[dict[str, Tensor]] = []
        for name, dictionary in zip(names_of(dictionaries), dictionaries, strict=True):
            prefix = f"{name}."
            state = {}
            for entry in entries:
                if entry.name.startswith(prefix):
                    key = entry.name.removeprefix(prefix)
                    state[key] = _dealt(path, entry, across, dictionary.W_enc.device)
            states.append(state)
        trainees = [
            Trainee.restored(dictionary, state)
            for dictionary, state in zip(dictionaries, states, strict=True)
        ]
        return trainees, step
    except (SafetensorError, KeyError, ValueError) as error:
        raise TomogramError(f"The checkpoint {path} is damaged: {error}.") from error


def _whole_shape(name: str, tensor: Tensor, across: Across) -> tuple[int, ...]:
    """The shape of what all shards hold together."""
    if not by_latent(name, tensor.ndim):
        return tuple(tensor.shape)
    return (len(tensor) * across.shards, *tensor.shape[1:])


def _contents(path: Path, digest: str) -> tuple[int, list[streamed.Entry]] | None:
    """The step and the tensors of a checkpoint; None where none of this digest stands."""
    if not path.exists():
        return None
    with safe_open(path, framework="pt", device="cpu") as file:
        notes = file.metadata() or {}
        if notes.get("digest") != digest:
            return None
        formats = {name: dtype for dtype, name in streamed.FORMATS.items()}
        entries = []
        for name in file.keys():  # noqa: SIM118, a file is no mapping
            part = file.get_slice(name)
            shape = tuple(part.get_shape())
            entries.append(streamed.Entry(name, shape, formats[part.get_dtype()]))
        return int(notes["step"]), entries


def _dealt(path: Path, entry: streamed.Entry, across: Across, device: torch.device) -> Tensor:
    """This process's share of a tensor in the file."""

    def read(first: int, last: int) -> Tensor:
        with safe_open(path, framework="pt", device="cpu") as file:
            if not entry.shape:
                return file.get_tensor(entry.name)
            return file.get_slice(entry.name)[first:last]

    rows = list(entry.shape)
    if by_latent(entry.name, len(rows)):
        rows[0] //= across.shards
    into = torch.empty(rows, dtype=entry.dtype, device=device)
    across.deal(entry.name, into, read)
    return into
