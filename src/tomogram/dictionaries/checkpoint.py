"""Checkpoint: all trainees of a training at one step, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.trainee import Trainee
from tomogram.store.atomic import writing
from tomogram.store.errors import TomogramError

_FILE = "checkpoint.safetensors"


def write(folder: Path, trainees: Sequence[Trainee], step: int, digest: str) -> None:
    """Replaces the checkpoint of a folder, whole or not at all.

    `digest` names everything the training depends on but its step. Raises TomogramError where the
    folder cannot be written.
    """
    tensors = {
        f"{trainee.dictionary.name}.{key}": tensor.contiguous()
        for trainee in trainees
        for key, tensor in trainee.state().items()
    }
    with writing(folder / _FILE) as temporary:
        save_file(tensors, temporary, metadata={"step": str(step), "digest": digest})


def read(
    folder: Path, dictionaries: Sequence[Dictionary], digest: str
) -> tuple[list[Trainee], int] | None:
    """The trainees and the step of a folder's checkpoint, with their weights in `dictionaries`.

    None where there is no checkpoint, or where it belongs to a training of another digest.
    Raises TomogramError where the file is damaged.
    """
    path = folder / _FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            notes = file.metadata() or {}
            if notes.get("digest") != digest:
                return None
            keys = list(file.keys())
            trainees = []
            for dictionary in dictionaries:
                prefix = f"{dictionary.name}."
                device = dictionary.W_enc.device
                state = {
                    key.removeprefix(prefix): file.get_tensor(key).to(device)
                    for key in keys
                    if key.startswith(prefix)
                }
                trainees.append(Trainee.restored(dictionary, state))
            return trainees, int(notes["step"])
    except (SafetensorError, KeyError, ValueError, json.JSONDecodeError) as error:
        raise TomogramError(f"The checkpoint {path} is damaged: {error}.") from error
