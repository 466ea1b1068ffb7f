"""A document for people: sections of sentences and tables, before it becomes HTML, PDF or Markdown.

Every form for people is drawn from one document, so that all of them say the same words.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of text under column names. Where there are no rows, `empty` says so.

    shares: how wide the columns are, in percent; as their text wants it where none are given.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    empty: str = ""
    shares: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.shares and (len(self.shares) != len(self.columns) or sum(self.shares) != 100):
            raise ValueError("every column has a share, and the shares add up to 100")
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("every row of a table has one cell for each column")


@dataclass(frozen=True)
class Pairs:
    """Names with their values, such as the properties of a model."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Listing:
    """Sentences of equal weight."""

    items: tuple[str, ...]


Part = str | Table | Pairs | Listing
"""A paragraph is plain text."""


@dataclass(frozen=True)
class Section:
    """A titled part of a document."""

    title: str
    parts: tuple[Part, ...]

    @property
    def anchor(self) -> str:
        """Its address within a page."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split())


@dataclass(frozen=True)
class Document:
    """A whole document: title, what it is in one line, and its sections."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
