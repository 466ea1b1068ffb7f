"""The page in a real browser: widths, colour schemes, keyboard, policy, no network, print."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.example import build_evidence, build_manifest, with_text
from tests.report.test_page import HOSTILE
from tomogram.report.evidence import Evidence
from tomogram.report.page import render


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example's page as a file, some of its cards full of hostile text."""
    manifest = build_manifest()
    evidence = build_evidence(manifest)
    hostile = [with_text(c, t) for c, t in zip(evidence.cards, HOSTILE, strict=False)]
    cards = (*hostile, *evidence.cards[len(hostile) :])
    html = render(manifest, Evidence(cards, evidence.feature_scores, evidence.neuron_scores))
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html, encoding="utf-8")
    return path.as_uri()


class Opened:
    """A page opened at one width, with everything it complained about or asked for."""

    def __init__(self, browser, address: str, width: int, scheme: str, **options) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, **options
        )
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.goto(address)


@pytest.mark.parametrize("width", [1280, 768, 390, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_asks_for_nothing_and_breaks_no_policy(browser, address, width, scheme) -> None:
    opened = Opened(browser, address, width, scheme)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter((e) => !e.closest(".scroll, svg, .sr, .skip")
                && e.getBoundingClientRect().right > innerWidth + 1)
            .map((e) => e.className || e.tagName)"""
    )
    assert wide == []
    assert opened.complaints == []
    assert opened.requests == [address]
    opened.context.close()


def test_dark_and_light_differ_and_words_stand_out(browser, address) -> None:
    """Contrast of body text and of captions is at least 4.5 (WCAG 2.2, AA)."""
    backgrounds = []
    for scheme in ("light", "dark"):
        opened = Opened(browser, address, 1280, scheme)
        for selector in ("body", ".intro", ".grid figcaption", ".where", ".film figcaption"):
            words, ground = opened.page.evaluate(COLOURS, selector)
            assert contrast(words, ground) >= 4.5, (scheme, selector)
        backgrounds.append(opened.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        opened.context.close()
    assert backgrounds[0] != backgrounds[1]


def test_the_gallery_filters(browser, address) -> None:
    opened = Opened(browser, address, 1280, "light")
    page = opened.page
    total = page.locator(".card").count()
    page.fill("#query", "no such words anywhere")
    assert page.locator(".card:visible").count() == 0
    assert page.locator("#count").inner_text() == f"0 of {total}"
    page.fill("#query", "")
    page.select_option("#draw", "drawn")
    drawn = page.locator(".card:visible").count()
    assert 0 < drawn < total
    assert page.locator(".card:visible .drawn").count() == drawn
    opened.context.close()


def test_a_long_gallery_opens_bit_by_bit_and_links_lead_into_it(browser, tmp_path: Path) -> None:
    manifest = build_manifest()
    evidence = build_evidence(manifest, n_cards=60)
    path = tmp_path / "long.html"
    path.write_text(render(manifest, evidence), "utf-8")
    opened = Opened(browser, path.as_uri(), 390, "light")
    page, visible = opened.page, opened.page.locator(".card:visible")
    assert visible.count() == 24
    assert page.locator("#count").inner_text() == "24 of 60 found"
    page.click("#more")
    assert visible.count() == 48
    page.click("#more")
    assert visible.count() == 60
    assert page.locator("#more").is_hidden()
    opened.context.close()
    last = evidence.cards[-1].anchor
    opened = Opened(browser, f"{path.as_uri()}#{last}", 390, "light")
    assert opened.page.locator(f"[id='{last}']").is_visible()
    opened.context.close()


def test_a_tap_on_a_token_shows_its_value(browser, address) -> None:
    opened = Opened(browser, address, 390, "light", has_touch=True)
    mark = opened.page.locator(".card > .exemplars mark").last
    mark.scroll_into_view_if_needed()
    mark.tap()
    assert mark.get_attribute("title") in opened.page.locator("#tip").inner_text()
    opened.page.keyboard.press("Escape")
    assert opened.page.locator("#tip").is_hidden()
    opened.context.close()


def test_the_keyboard_reaches_sections_and_numbers(browser, address) -> None:
    opened = Opened(browser, address, 1280, "light")
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#coverage"
    page.focus("details.numbers summary")
    page.keyboard.press("Enter")
    assert page.locator("details.numbers table").first.is_visible()
    opened.context.close()


def test_everything_can_be_read_without_script(browser, address) -> None:
    opened = Opened(browser, address, 1280, "light", java_script_enabled=False)
    page = opened.page
    assert page.locator(".filter").is_hidden()
    assert page.locator(".card").first.is_visible()
    page.locator("details.numbers summary").first.click()
    assert page.locator("details.numbers table").first.is_visible()
    opened.context.close()


def test_it_prints(browser, address, tmp_path: Path) -> None:
    opened = Opened(browser, address, 1280, "dark")
    data = opened.page.pdf(format="A4")
    assert data.startswith(b"%PDF")
    opened.page.emulate_media(media="print")
    ground = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    assert opened.page.locator(".rail").is_hidden()
    opened.context.close()


COLOURS = """(selector) => {
  const element = document.querySelector(selector);
  const style = getComputedStyle(element);
  let ground = element;
  const clear = (e) => /rgba\\(.*, 0\\)/.test(getComputedStyle(e).backgroundColor);
  while (clear(ground) && ground.parentElement) ground = ground.parentElement;
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const [words, back] = [numbers(style.color), numbers(getComputedStyle(ground).backgroundColor)];
  const share = Number(style.opacity);
  return [words.slice(0, 3).map((c, i) => c * share + back[i] * (1 - share)), back.slice(0, 3)];
}"""


def contrast(one: list[float], other: list[float]) -> float:
    """Contrast ratio of two sRGB colours (WCAG 2.2)."""

    def luminance(colour: list[float]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
                  for c in (value / 255 for value in colour)]  # fmt: skip
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
