"""Native: our own files, for what no other library's format holds: crosscoders, cross-layer
transcoders with TopK latents, and transcoders of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats.stored import Stored
from tomogram.dictionaries.formats.tensors import (
    matrix,
    need,
    read_config,
    read_tensors,
    whole,
    write_tensors,
)
from tomogram.models.sites import Site
from tomogram.store.atomic import write_json
from tomogram.store.errors import TomogramError

CONFIG, WEIGHTS = "dictionary.json", "dictionary.safetensors"
FILES = (CONFIG, WEIGHTS)
VERSION = 1

_COMMON = {"W_enc", "b_enc", "W_dec", "b_dec", "W_skip"}
"""The weights that every kind has, with or without the path beside the latents."""


def matches(folder: Path) -> bool:
    """Whether a folder holds one dictionary of this format."""
    return (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()


def save(dictionary: Dictionary, folder: Path) -> None:
    """Writes any dictionary: weights as they are, and beside them kind, options and sites.

    Raises TomogramError where the folder cannot be written.
    """
    write_tensors(folder / WEIGHTS, dictionary.state_dict())
    write_json(
        folder / CONFIG,
        {
            "version": VERSION,
            "kind": dictionary.kind,
            "options": dictionary.config(),
            "reads": [str(site) for site in dictionary.shape.reads],
            "writes": [str(site) for site in dictionary.shape.writes],
            "models": dictionary.shape.models,
        },
    )


def read(folder: Path) -> list[Stored]:
    """The folder's one dictionary.

    Raises TomogramError where a file is damaged, or of a newer version.
    """
    config, path = read_config(folder / CONFIG), folder / WEIGHTS
    if config.get("version") != VERSION:
        raise TomogramError(
            f"{folder / CONFIG} has version {config.get('version')!r}; known here is {VERSION}."
        )
    tensors = read_tensors(path)
    stored = Stored(
        reads=_sites(config, "reads", folder),
        writes=_sites(config, "writes", folder),
        kind=str(config.get("kind")),
        W_enc=matrix(tensors, "W_enc", path),
        b_enc=need(tensors, "b_enc", path),
        W_dec=matrix(tensors, "W_dec", path),
        b_dec=need(tensors, "b_dec", path),
        W_skip=tensors.get("W_skip"),
        own={name: tensor for name, tensor in tensors.items() if name not in _COMMON},
        options=_options(config, folder),
        models=whole(config.get("models"), "models", folder / CONFIG),
        origin=folder,
    )
    try:
        with torch.device("meta"):
            expected = set(stored.blank().state_dict())
    except TypeError as error:
        raise TomogramError(
            f"{folder / CONFIG} gives options that no dictionary of kind '{stored.kind}' has."
        ) from error
    if expected != set(tensors):
        raise TomogramError(
            f"{path} is damaged: it does not hold the weights of a dictionary of kind "
            f"'{stored.kind}'."
        )
    return [stored]


def _sites(config: dict[str, Any], name: str, folder: Path) -> tuple[Site, ...]:
    listed = config.get(name)
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise TomogramError(f"{folder / CONFIG} does not say which sites the dictionary {name}.")
    return tuple(map(Site.parse, listed))


def _options(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    options = config.get("options")
    if not isinstance(options, dict):
        raise TomogramError(f"{folder / CONFIG} does not give the options of the dictionary.")
    return options
