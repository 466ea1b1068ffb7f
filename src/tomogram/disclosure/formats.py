"""The formats of a disclosure by name, and the files each of them writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomogram.disclosure.facts import Facts
from tomogram.store.atomic import write_bytes, write_text
from tomogram.store.canonical import readable_json
from tomogram.store.errors import TomogramError

FACTS = "disclosure.json"
"""The facts themselves; two of these are what `--diff` compares."""

Write = Callable[[Facts, Path], None]


@dataclass(frozen=True)
class Written:
    """What was written, and which formats were left out, with the reason of each."""

    files: tuple[Path, ...]
    left_out: Mapping[str, str]


def _html(facts: Facts, path: Path) -> None:
    from tomogram.disclosure.contents import disclosure
    from tomogram.disclosure.html import html

    write_text(path, html(disclosure(facts)))


def _pdf(facts: Facts, path: Path) -> None:
    from tomogram.disclosure.contents import disclosure
    from tomogram.disclosure.pdf import pdf

    write_bytes(path, pdf(disclosure(facts)))


def _model_card(facts: Facts, path: Path) -> None:
    from tomogram.disclosure.model_card import model_card

    write_text(path, model_card(facts))


def _cyclonedx(facts: Facts, path: Path) -> None:
    from tomogram.disclosure.cyclonedx import cyclonedx

    write_text(path, cyclonedx(facts))


def _inspect(facts: Facts, path: Path) -> None:
    from tomogram.disclosure.inspect_log import write_inspect

    write_inspect(facts, path)


def _sarif(facts: Facts, path: Path) -> None:
    from tomogram.disclosure.sarif import sarif

    write_text(path, sarif(facts))


def _eu_form(facts: Facts, path: Path) -> None:
    from tomogram.disclosure.eu_form import eu_form
    from tomogram.disclosure.html import html

    write_text(path, html(eu_form(facts)))


def _eu_form_json(facts: Facts, path: Path) -> None:
    from tomogram.disclosure.eu_form import eu_form_json

    write_text(path, eu_form_json(facts))


def _facts(facts: Facts, path: Path) -> None:
    write_text(path, readable_json(facts.model_dump(mode="json")))


FORMATS: Mapping[str, Mapping[str, Write]] = {
    "html": {"disclosure.html": _html},
    "pdf": {"disclosure.pdf": _pdf},
    "model-card": {"model-card.md": _model_card},
    "cyclonedx": {"model.cdx.json": _cyclonedx},
    "inspect": {"disclosure.eval": _inspect},
    "sarif": {"findings.sarif": _sarif},
    "eu-form": {"eu-form.html": _eu_form, "eu-form.json": _eu_form_json},
    "json": {FACTS: _facts},
}
"""By name, the files of a format and what writes each."""

ALL = "all"


def write(facts: Facts, names: Sequence[str], folder: Path) -> Written:
    """Write a disclosure in some formats into a folder.

    With `all` every format is written, and one whose library is missing is left out and named.

    Raises TomogramError where there is no such format, a library is missing for a format that was
    named, or the folder cannot be written.
    """
    for name in names:
        if name != ALL and name not in FORMATS:
            known = ", ".join([*FORMATS, ALL])
            raise TomogramError(f"There is no format {name}; known are {known}.")
    wanted = list(FORMATS) if ALL in names else list(dict.fromkeys(names))
    files: list[Path] = []
    left_out: dict[str, str] = {}
    for name in wanted:
        try:
            for file, writer in FORMATS[name].items():
                writer(facts, folder / file)
                files.append(folder / file)
        except TomogramError as error:
            if name in names or not isinstance(error.__cause__, ImportError):
                raise
            left_out[name] = str(error)
    return Written(tuple(files), left_out)
