"""The page: whole, self-contained, the same every time, and inert whatever the text holds."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from tests.report.example import build_evidence, build_manifest, with_text
from tomogram.report.evidence import Evidence
from tomogram.report.page import readings, render
from tomogram.report.tokens import inert
from tomogram.store.schema import Manifest

HOSTILE = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% include 'x' %}",
    "\u202egnp.exe\u202c \x00\x07\x1b[31m",
    "\ud800 lone surrogate",
    "]]><!-- -->",
    "&lt;b&gt;",
    "A" * 10_000_000,
]


class Page(HTMLParser):
    """Elements of a page, in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every element of one kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_same_evidence_gives_the_same_page(
    manifest: Manifest, evidence: Evidence, page: str
) -> None:
    assert render(manifest, evidence) == page


def test_nothing_is_asked_for_outside_the_page(page: str) -> None:
    parsed = Page(page)
    loading = {"src", "href", "action", "data", "poster", "srcset", "background", "xlink:href"}
    for _, attributes in parsed.elements:
        for name in loading & attributes.keys():
            assert (attributes[name] or "").startswith("#")
    assert not {"link", "img", "iframe", "object", "embed", "base"} & {
        t for t, _ in parsed.elements
    }
    assert not re.search(r"@import|https?://", page)
    assert set(re.findall(r"url\(([^)]*)\)", page)) <= {"#lit", "#unscanned"}


def test_the_policy_allows_only_the_style_and_script_in_the_page(page: str) -> None:
    (meta,) = [m for m in Page(page).all("meta") if "content-security-policy" in str(m).lower()]
    policy = meta["content"] or ""
    assert policy.startswith("default-src 'none'")
    for tag in ("style", "script"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<[^>]+\sstyle=", page), "inline styles would be blocked"


def test_every_picture_has_words_and_numbers(page: str) -> None:
    parsed = Page(page)
    drawings = parsed.all("svg")
    assert len(drawings) > 30
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in drawings)
    assert len(parsed.all("figure")) == page.count('<details class="numbers">') - 1


def test_addresses_in_the_page_are_unique_and_lead_somewhere(page: str) -> None:
    parsed = Page(page)
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in parsed.all("a"):
        assert (link["href"] or "")[1:] in ids


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_shown_and_not_acted_on(
    manifest: Manifest, evidence: Evidence, page: str, hostile: str
) -> None:
    cards = tuple(with_text(card, hostile) for card in evidence.cards[:2])
    model = manifest.model.model_copy(update={"name": hostile})
    changed = manifest.model_copy(update={"model": model})
    html = render(changed, Evidence(cards, evidence.feature_scores, evidence.neuron_scores))
    html.encode("utf-8")
    assert len(html) < len(page) + 300_000
    ours, theirs = Page(page), Page(html)
    kinds = {tag for tag, _ in ours.elements}
    assert {tag for tag, _ in theirs.elements} <= kinds
    assert len(theirs.all("script")) == 1
    for _, attributes in theirs.elements:
        assert not any(name.startswith("on") for name in attributes)
    assert inert(hostile) in "".join(theirs.words)


def test_the_sections_are_there_without_any_ground_truth_or_gallery() -> None:
    manifest = build_manifest(2, 2, concepts=False)
    bare = manifest.model_copy(
        update={
            "dictionaries": (),
            "groups": (),
            "coverage": manifest.coverage.model_copy(
                update={"spliced": (), "labelled": None, "unigram_loss": None}
            ),
            "anatomy": manifest.anatomy.model_copy(update={"heads": (), "lens": ()}),
        }
    )
    parsed = Page(render(bare, Evidence((), (), ())))
    ids = {attributes.get("id") for attributes in parsed.all("h2")}
    sections = "coverage findings anatomy superposition gallery quality dark again"
    assert ids == set(sections.split())


def test_what_was_not_measured_is_said(manifest: Manifest, page: str) -> None:
    text = "".join(Page(page).words)
    for item in manifest.not_measured:
        assert item.what in text
        assert item.why in text
    assert manifest.run.command in text


def test_the_headline_is_the_share_kept_of_what_the_model_knows(manifest: Manifest) -> None:
    # 1 − 1.31 / (5.93 − 1.14) = 0.7265...
    assert readings(manifest)[0].value.replace("\u00a0", " ") == "73 %"
    assert "1.31 (1.27 to 1.35) nats" in readings(manifest)[0].detail


def test_a_large_scan_stays_small() -> None:
    manifest = build_manifest(32, 32)
    html = render(manifest, build_evidence(manifest, 200))
    assert len(html.encode()) < 10_000_000
