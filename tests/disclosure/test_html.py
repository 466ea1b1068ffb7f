"""The page: everything in it is visible text, and it asks for nothing outside itself."""

from __future__ import annotations

import html.parser
import re
from html import unescape
from pathlib import Path

import pytest

from tests.disclosed import HOSTILE
from tomogram.disclosure.contents import disclosure
from tomogram.disclosure.document import Document, Listing, Pairs, Section, Table
from tomogram.disclosure.eu_form import eu_form
from tomogram.disclosure.facts import Facts
from tomogram.disclosure.html import html as page


class _Words(html.parser.HTMLParser):
    """The text of a page outside its style sheet, and the tags in it."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if not self.tags or self.tags[-1] != "style":
            self.words.append(data)


def words(text: str) -> tuple[str, list[str]]:
    parser = _Words()
    parser.feed(text)
    return " ".join(" ".join(parser.words).split()), parser.tags


def test_every_part_is_drawn() -> None:
    document = Document(
        "A title",
        "a subtitle",
        (
            Section(
                "One & two",
                (
                    "a paragraph",
                    Table(("name", "value"), (("a", "1"), ("b", "2")), "empty"),
                    Table(("name",), (), "nothing to tell"),
                    Pairs((("key", "held"),)),
                    Listing(("first", "second")),
                ),
            ),
        ),
    )
    text, tags = words(page(document))
    for word in ("A title", "a subtitle", "One & two", "a paragraph", "nothing to tell", "held"):
        assert word in text
    assert "name value a 1 b 2" in text
    assert "empty" not in text
    assert tags.count("li") == 1 + 2  # one section in the navigation, two items


def test_a_table_with_a_hole_is_refused() -> None:
    with pytest.raises(ValueError, match="one cell"):
        Table(("a", "b"), (("1",),))
    for shares in ((100,), (50, 40)):
        with pytest.raises(ValueError, match="share"):
            Table(("a", "b"), (), shares=shares)


def test_it_tells_each_ask_and_each_verdict(facts: Facts) -> None:
    text, _ = words(page(disclosure(facts)))
    for word in (
        "How interpretability was used", "aborted, no answer", "The lamp was taken out of the",
        "FINDING (located)", "SUSPICION (p 0.041", "ABSTAIN (12 clean copies; 79 needed)",
        "not stated", "Lamps & Sons", facts.model.digest, facts.manifest, "to treat lamps",
        "unknown question", "kept for the release",
    ):  # fmt: skip
        assert word in text, word
    assert not re.search(r"model is (healthy|safe)", text)


def test_absence_is_said(bare: Facts) -> None:
    text, _ = words(page(disclosure(bare)))
    assert "No audits were given" in text
    assert "No ledger of a sealed suite was given" in text
    assert "The developer declared nothing here." in text


def test_hostile_text_stays_text(hostile: Facts) -> None:
    for document in (disclosure(hostile), eu_form(hostile)):
        text = page(document)
        shown, tags = words(text)
        assert "script" not in tags
        assert tags.count("style") == 1
        assert "\u202e" not in text
        assert "\x00" not in text
        assert "alert(1)" in shown  # it is there, as text
        assert HOSTILE not in text


def test_nothing_is_fetched(facts: Facts) -> None:
    text = page(disclosure(facts))
    assert "default-src 'none'" in unescape(text)
    assert not re.search(r"(src|href)=\"(?!#)", text)


def test_the_same_facts_give_the_same_page(facts: Facts) -> None:
    assert page(disclosure(facts)) == page(disclosure(facts))


@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_the_window(facts: Facts, browser: object, tmp_path: Path, width: int) -> None:
    for name, document in (("disclosure", disclosure(facts)), ("form", eu_form(facts))):
        path = tmp_path / f"{name}.html"
        path.write_text(page(document))
        tab = browser.new_page(viewport={"width": width, "height": 900})  # type: ignore[attr-defined]
        problems: list[str] = []
        tab.on("console", lambda message, to=problems: to.append(message.text))
        tab.goto(path.as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        # No column is out of sight: a reader would not look for an answer beside the page.
        hidden = """[...document.querySelectorAll(".scroll")]
            .filter(each => each.scrollWidth > each.clientWidth).length"""
        assert tab.evaluate(hidden) == 0
        assert tab.evaluate("document.styleSheets[0].cssRules.length") > 10  # the policy allows it
        assert problems == []
        tab.close()
