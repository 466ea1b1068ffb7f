"""What was scanned: the model and the dictionaries of a tomogram, loaded again."""

from __future__ import annotations

from pathlib import Path

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import load as formats
from tomogram.dictionaries.formats import own
from tomogram.models.model import Model
from tomogram.pipeline.given import given_model
from tomogram.reference.recipe import REFERENCE
from tomogram.report.tokens import visible
from tomogram.report.tomogram import Tomogram
from tomogram.store.errors import TomogramError


def scanned_model(
    tomogram: Tomogram,
    source: str | Path | Model | None = None,
    *,
    device: str = "cpu",
    dtype: str = "float32",
) -> Model:
    """The model of a tomogram.

    Args:
        source: where it is; the shipped one, or what the scan calls it, when None.
        device, dtype: as `tomogram.load` takes them.

    Raises TomogramError where it is another model, or cannot be loaded.
    """
    name = tomogram.manifest.model.name
    try:
        wanted = name if source is None and name != REFERENCE.name else source
        model = given_model(wanted, device=device, dtype=dtype)
    except TomogramError as error:
        if source is not None:
            raise
        raise TomogramError(
            f"This needs the scanned model, {visible(name)}, and a scan does not say where it is: "
            "name it with --model MODEL."
        ) from error
    if model.digest != tomogram.manifest.model.digest:
        raise TomogramError(
            f"{visible(model.name)} is not the model of this tomogram, {visible(name)}: its weights"
            " have another digest."
        )
    return model


def scanned_dictionaries(
    tomogram: Tomogram, model: Model, source: str | Path | None = None
) -> tuple[Dictionary, ...]:
    """The dictionaries of a tomogram, as its tables name them.

    Args:
        source: where they are, for a scan that brought its own.

    Raises TomogramError where they are not there or not those of the tables.
    """
    if source is None:
        folder = tomogram.folder / "dictionaries"
        if not folder.is_dir():
            raise TomogramError("This scan brought its own dictionaries; say where they are.")
        found = own.read(folder)
    else:
        folder = formats.locate(source)
        found = formats.load(folder, model, tomogram.text)
    rows = tomogram.features.query("SELECT family, count(*) AS n FROM features GROUP BY family")
    sizes = {row["family"]: row["n"] for row in rows}
    named = [each.to(model.device) for each in found if sizes.get(each.name) == each.d_dict]
    if not named:
        raise TomogramError(f"{folder} holds none of the dictionaries of this tomogram.")
    return tuple(named)
