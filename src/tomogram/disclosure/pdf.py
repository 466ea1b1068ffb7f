"""A document as PDF, by ReportLab, which needs nothing but pip (extra `disclosure`).

The same document gives the same bytes. The font (Bitstream Vera, which ReportLab carries) is
embedded; a character it does not have is written as its code point, so that nothing is lost unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

from tomogram.disclosure.document import Document, Listing, Pairs, Part, Table
from tomogram.report.tokens import visible
from tomogram.store.errors import TomogramError

_MARGIN, _PADDING = 50.0, 6.0  # points; the padding is that of ReportLab's frames
_LEAST = 90.0  # points of a page that a section begins on
_INK, _SOFT, _LINE = "#171b1e", "#555f66", "#c3cbc9"
_FONTS = {"Vera": "Vera.ttf", "Vera-Bold": "VeraBd.ttf"}


def pdf(document: Document) -> bytes:
    """The PDF's bytes. Raises TomogramError where ReportLab is not installed."""
    platypus = _library()
    _fonts()
    written = BytesIO()
    page = platypus.SimpleDocTemplate(
        written,
        invariant=1,  # no time and no random id
        title=document.title,
        subject=document.subtitle,
        lang="en",
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
    )
    page.build(
        list(_flow(document, page.width)),
        onFirstPage=lambda canvas, _: _footer(canvas, document),
        onLaterPages=lambda canvas, _: _footer(canvas, document),
    )
    return written.getvalue()


def _library() -> Any:
    try:
        from reportlab import platypus
    except ImportError as error:
        raise TomogramError("PDF needs an extra: pip install 'tomogram[disclosure]'.") from error
    return platypus


@cache
def _fonts() -> dict[str, Any]:
    from reportlab.lib.fonts import addMapping
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    fonts = {name: TTFont(name, file) for name, file in _FONTS.items()}
    for font in fonts.values():
        pdfmetrics.registerFont(font)
    for bold, name in enumerate(_FONTS):
        for italic in (0, 1):
            addMapping("Vera", bold, italic, name)
    return fonts


@cache
def _style(name: str) -> Any:
    from reportlab.lib.styles import ParagraphStyle

    def style(size: float, *, bold: bool = False, before: float = 0, after: float = 4) -> Any:
        return ParagraphStyle(
            name,
            fontName="Vera-Bold" if bold else "Vera",
            fontSize=size,
            leading=size * 1.4,
            spaceBefore=before,
            spaceAfter=after,
            textColor=_SOFT if name in ("subtitle", "empty", "name") else _INK,
            wordWrap="LTR",
            splitLongWords=True,
        )

    return {
        "title": lambda: style(19, bold=True, after=6),
        "subtitle": lambda: style(9.5, after=8),
        "section": lambda: style(13, bold=True, before=16, after=5),
        "text": lambda: style(8.5),
        "empty": lambda: style(8.5),
        "item": lambda: style(8.5, after=2),
        "name": lambda: style(8, after=0),
        "value": lambda: style(8, after=0),
        "head": lambda: style(6.8, bold=True, after=0),
        "cell": lambda: style(6.8, after=0),
    }[name]()


def _flow(document: Document, width: float) -> Iterator[Any]:
    yield _words(document.title, "title")
    yield _words(document.subtitle, "subtitle")
    for section in document.sections:
        yield _library().CondPageBreak(_LEAST)  # no title alone at the foot of a page
        yield _words(section.title, "section")
        for part in section.parts:
            yield from _part(part, width)


def _part(part: Part, width: float) -> Iterator[Any]:
    platypus = _library()
    match part:
        case str():
            yield _words(part, "text")
        case Listing():
            for item in part.items:
                yield _words(f"– {item}", "item")
        case Pairs():
            rows = [[_words(n, "name"), _words(v, "value")] for n, v in part.rows]
            yield _table(rows, [width * 0.3, width * 0.7], head=False)
            yield platypus.Spacer(0, 6)
        case Table() if not part.rows:
            yield _words(part.empty, "empty")
        case Table():
            rows = [[_words(column, "head") for column in part.columns]]
            rows += [[_words(cell, "cell") for cell in row] for row in part.rows]
            yield _table(rows, _widths(part, width), head=True)
            yield platypus.Spacer(0, 8)


def _table(rows: list[list[Any]], widths: list[float], *, head: bool) -> Any:
    from reportlab.lib.colors import HexColor

    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor(_LINE)),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 6),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
    ]
    return _library().LongTable(
        rows, colWidths=widths, repeatRows=int(head), style=style, splitInRow=1, hAlign="LEFT"
    )


def _widths(table: Table, width: float) -> list[float]:
    """Columns as wide as their longest word needs, the rest shared by how much they hold."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    if table.shares:
        return [width * share / 100 for share in table.shares]
    columns = list(zip(table.columns, *table.rows, strict=True))
    least = [
        min(
            width / 5,
            7 + max(stringWidth(_drawn(w), "Vera-Bold", 6.8) for c in cells for w in _cut(c)),
        )
        for cells in columns
    ]
    rest = width - sum(least)
    if rest <= 0:
        return [width * each / sum(least) for each in least]
    held = [sum(len(cell) for cell in cells) ** 0.7 for cells in columns]
    return [each + rest * share / sum(held) for each, share in zip(least, held, strict=True)]


def _cut(text: str) -> list[str]:
    return text.split() or [""]


def _words(text: str, style: str) -> Any:
    return _library().Paragraph(escape(_drawn(text)), _style(style))


def _drawn(text: str) -> str:
    """The text in characters that the font has."""
    known = _fonts()["Vera"].face.charToGlyph
    return "".join(
        character if ord(character) in known or character == " " else f"[U+{ord(character):04X}]"
        for character in visible(text).replace("\u00a0", " ")
    )


def _footer(canvas: Any, document: Document) -> None:
    canvas.saveState()
    canvas.setFont("Vera", 7)
    canvas.setFillColor(_SOFT)
    canvas.drawString(_MARGIN + _PADDING, _MARGIN / 2, _drawn(document.title)[:90])
    right = canvas._pagesize[0] - _MARGIN - _PADDING
    canvas.drawRightString(right, _MARGIN / 2, str(canvas.getPageNumber()))
    canvas.restoreState()
