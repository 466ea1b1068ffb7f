"""Save what was trained here in formats that others read, and read it back."""

from __future__ import annotations

from pathlib import Path

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import load, native, saelens, sparsify
from tomogram.dictionaries.topk import TopK


def save(
    dictionary: Dictionary, folder: Path, *, model: str, context: int, name: str | None = None
) -> None:
    """Write a dictionary below `folder`, as others read it where they can: an autoencoder as
    SAELens does, a TopK transcoder as sparsify, anything else in files of our own.

    `model` and `context` (tokens a row) are noted where the format has room for them. `name` is the
    folder's, where several dictionaries are of one place. Raises TomogramError where the folder
    cannot be written.
    """
    shape, place = dictionary.shape, folder / (name or dictionary.name)
    if len(shape.reads) > 1 or len(shape.writes) > 1 or shape.models > 1:
        native.save(dictionary, place)
    elif shape.is_autoencoder:
        saelens.save(dictionary, place, model=model, context=context)
    elif type(dictionary) is TopK and shape.d_in == shape.d_out:
        # sparsify reads the place from the last folder's name.
        above = folder if place.name == dictionary.name else place
        sparsify.save(dictionary, above / sparsify.folder_name(dictionary))
    else:
        native.save(dictionary, place)


def read(folder: Path) -> list[Dictionary]:
    """The dictionaries that `save` wrote below a folder, by the order of their paths.

    Files of our own are taken at their word: no convention has to be measured.
    """
    return [
        stored.dictionary(subtracts_b_dec=stored.subtracts_b_dec, input_scale=1.0)
        for stored in load.find(folder)
    ]
