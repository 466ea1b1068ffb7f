"""What every chart returns: a drawing, its words, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    ``svg`` is the drawing, whose label is its text alternative; ``columns`` and ``rows`` are the
    numbers in it, for those who want or need them as a table.
    """

    title: str
    caption: str
    svg: Markup
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("every row of numbers has one cell per column")
