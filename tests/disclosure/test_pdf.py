"""The PDF says what the page says, in the same bytes every time."""

from __future__ import annotations

from io import BytesIO

import pytest

from tomogram.disclosure.contents import disclosure
from tomogram.disclosure.document import Document, Section, Table
from tomogram.disclosure.facts import Facts

pytest.importorskip("reportlab", reason="reportlab is not installed")
pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")

from tomogram.disclosure.pdf import pdf  # noqa: E402


def text_of(data: bytes) -> str:
    pages = pypdf.PdfReader(BytesIO(data)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_another_reader_finds_every_section(facts: Facts) -> None:
    document = disclosure(facts)
    text = text_of(pdf(document))
    for section in document.sections:
        assert section.title in text
    for word in ("aborted, no answer", "FINDING (located)", "not stated", "Lamps & Sons"):
        assert word in text


def test_the_same_document_gives_the_same_bytes(facts: Facts) -> None:
    assert pdf(disclosure(facts)) == pdf(disclosure(facts))


def test_what_the_font_lacks_is_said(hostile: Facts) -> None:
    text = text_of(
        pdf(Document("木の灯", "≥ − –", (Section("one", (disclosure(hostile).title,)),)))
    )
    assert "[U+6728]" in text
    assert "\u202e" not in text
    assert "alert(1)" in text


def test_long_tables_and_long_words_fit() -> None:
    rows = tuple((str(n), "x" * 900, "words " * 400) for n in range(60))
    table = Table(("Number", "One word", "Many"), rows)
    data = pdf(Document("Long", "tables", (Section("Rows", (table,)),)))
    pages = pypdf.PdfReader(BytesIO(data)).pages
    assert len(pages) > 10
    assert all("One word" in page.extract_text() for page in pages)  # the head is repeated


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, facts: Facts) -> None:
    import sys

    from tomogram.store.errors import TomogramError

    monkeypatch.setitem(sys.modules, "reportlab", None)
    with pytest.raises(TomogramError, match=r"tomogram\[disclosure\]"):
        pdf(disclosure(facts))
