"""A document as Markdown, with every character of a name or a cell made harmless."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tomogram.disclosure.document import Document, Listing, Pairs, Part, Table
from tomogram.report.tokens import visible

_ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|~$!&])")


def markdown(document: Document) -> str:
    """The document in Markdown with tables as GitHub and Hugging Face draw them."""
    lines = [f"# {escaped(document.title)}", "", escaped(document.subtitle), ""]
    for section in document.sections:
        lines += [f"## {escaped(section.title)}", ""]
        for part in section.parts:
            lines += [*_part(part), ""]
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return _ACTIVE.sub(r"\\\1", visible(text))


def _part(part: Part) -> list[str]:
    match part:
        case str():
            return [escaped(part)]
        case Listing():
            return [f"* {escaped(item)}" for item in part.items]
        case Pairs():
            return _table(("", ""), part.rows)
        case Table():
            return _table(part.columns, part.rows) if part.rows else [escaped(part.empty)]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_row(columns), _row(["---"] * len(columns), raw=True), *(_row(row) for row in rows)]


def _row(cells: Sequence[str], *, raw: bool = False) -> str:
    return "| " + " | ".join(cell if raw else escaped(cell) for cell in cells) + " |"
