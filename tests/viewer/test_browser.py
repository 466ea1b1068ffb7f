"""The viewer in a real Chromium that can reach nothing but this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from tests.report.test_page import HOSTILE
from tests.viewer.conftest import serving
from tests.viewer.folder import write_scan
from tomogram.features.judged import Judged, write_judged
from tomogram.features.judging.scores import Score
from tomogram.models.model import Model
from tomogram.pipeline.searching import open_search
from tomogram.store.schema import Estimate
from tomogram.store.stage import Stage
from tomogram.text.spelling import spell
from tomogram.viewer.content import Content
from tomogram.viewer.export import export
from tomogram.viewer.live import Live
from tomogram.viewer.routes import routes

PAGES = {
    "overview": "#/",
    "findings": "#/findings",
    "features": "#/features",
    "feature": "#/feature/resid_post.1/3",
    "neuron": "#/feature/neurons.0/1",
    "map": "#/map",
    "prompt": "#/prompt?text=the+capital+of+Texas+is",
    "steer": "#/steer?turns=resid_post.1/3@2&prompt=the+capital",
    "quality": "#/quality",
    "nowhere": "#/nowhere",
}
READY = {
    "overview": ".film",
    "findings": ".verdicts",
    "features": ".units-row a",
    "feature": ".exemplar",
    "neuron": ".exemplar",
    "map": ".map canvas",
    "prompt": ".heads",
    "steer": ".texts",
    "quality": ".figure",
    "nowhere": "h1",
}
PATIENCE = 120_000
HOSTILE_ADDRESSES = [
    "#/features?words=<img src=x onerror=alert(1)>",
    "#/features?words=%27%3B+DROP+TABLE+listing%3B--&by=examples&sort=x%3B&kind=y",
    "#/feature/%3Cscript%3Ealert(1)%3C%2Fscript%3E/1",
    "#/feature/..%2F..%2Fetc/%2e%2e",
    "#/steer?turns=%3Cb%3E/1@1e999,resid_post.1/3@2&prompt=%3Csvg onload=alert(1)%3E",
    "#/prompt?text=%E2%80%AE%00%3Cscript%3E",
    "#/%00%ff",
]
"""Links that somebody else wrote."""


class Opened:
    """A page, with everything it complained about or asked for elsewhere."""

    def __init__(self, browser, base: str, *, width=1280, scheme="light", **options) -> None:
        self.base = base
        self.context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, **options
        )
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.context.route("**/*", self._route)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))

    def _route(self, route) -> None:
        place = urlsplit(route.request.url)
        if place.scheme in ("file", "data", "blob") or place.hostname == "127.0.0.1":
            route.continue_()
        else:
            self.foreign.append(route.request.url)
            route.abort()

    def go(self, name: str):
        """Open one of the pages and wait until it has what it shows."""
        # The same document with another hash would not load again.
        self.page.goto("about:blank")
        self.page.goto(self.base + PAGES[name])
        self.page.wait_for_selector(READY[name])
        return self.page

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []
        assert self.foreign == []


@pytest.fixture
def opened(browser, port: int) -> Iterator[Callable[..., Opened]]:
    """Opens the served viewer; what was opened is closed and must not have complained."""
    made: list[Opened] = []

    def make(**options) -> Opened:
        made.append(Opened(browser, f"http://127.0.0.1:{port}/", **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def exported(content: Content, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The exported page's address, which is a file's."""
    return export(content, tmp_path_factory.mktemp("site") / "site").as_uri()


@pytest.fixture(scope="module")
def axe(root: Path) -> str:
    """axe-core; skips where the page's own tools are not installed."""
    path = root / "web" / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.skip("axe-core is not installed: npm ci in web/")
    return path.read_text(encoding="utf-8")


@contextmanager
def answering(files: Mapping[str, tuple[str, str]]) -> Iterator[int]:
    """Another server on this machine, which answers paths with a type and a text; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, text = files.get(self.path, ("text/plain", ""))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def until(page, condition: str) -> None:
    """Waits for a condition; Playwright's own way needs eval, which the page's policy forbids."""
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


def violations(page, axe: str) -> list[str]:
    """What axe finds wrong, rule by rule."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:200]}"
        for v in found["violations"]
        for node in v["nodes"][:3]
    ]


def overflowing(page, width: int) -> list[str]:
    """Elements that reach past the window's right edge."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    return page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter((e) => !e.closest(".scroll, svg, .sr, .skip, .value-tip")
                && !e.closest(".what *, .chip *, .token-strip button *")  // cut with an ellipsis
                && e.getBoundingClientRect().right > innerWidth + 1)
            .map((e) => e.className || e.tagName)"""
    )


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_passes_axe(opened, axe, width, scheme) -> None:
    window = opened(width=width, scheme=scheme)
    faults = []
    for name in PAGES:
        page = window.go(name)
        faults += [f"{name}: {each}" for each in violations(page, axe)]
        faults += [f"{name} overflows: {each}" for each in overflowing(page, width)]
    assert faults == []


def test_dark_is_dark_and_light_is_light(opened) -> None:
    lightness = []
    for scheme in ("light", "dark"):
        page = opened(scheme=scheme).go("feature")
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        lightness.append(sum(int(n) for n in colour[4:-1].split(",")))
    assert lightness[0] > 600
    assert lightness[1] < 150


def test_searching_filters_and_the_address_remembers(opened) -> None:
    page = opened().go("features")
    count = page.locator(".filter output")
    assert count.inner_text() == "32 units"
    page.get_by_label("Show").select_option("silent")
    until(page, "document.querySelector('.filter output').textContent === '2 units'")
    page.get_by_label("Show").select_option("labelled")
    label = page.locator(".units-row .what bdi").first.inner_text()
    word = label.split("“")[1].split("”")[0]
    page.fill("input[type=search]", word)
    until(page, "location.hash.includes('words=')")
    page.wait_for_selector(f".units-row >> text={word}")
    page.reload()
    page.wait_for_selector(".units-row a")
    assert page.input_value("input[type=search]") == word
    page.fill("input[type=search]", "nosuchwordanywhere")
    page.wait_for_selector(".nothing")
    assert count.inner_text() == "0 units"


def test_sorting_by_a_click_and_back(opened) -> None:
    page = opened().go("features")
    button = page.get_by_role("button", name="Fires on", exact=True)
    header = page.get_by_role("columnheader", name="Fires on", exact=True)
    for order in ("descending", "ascending", "none"):  # and the best first again
        button.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(f"[role=columnheader][aria-sort={order}].rate")
        assert header.get_attribute("aria-sort") == order
        assert button.evaluate("b => b === document.activeElement")
    page.wait_for_selector(".units-row a")


def test_hovering_a_token_shows_its_value_and_arrow_keys_do_too(opened) -> None:
    page = opened().go("feature")
    mark = page.locator(".exemplar mark").first
    mark.hover()
    tip = page.locator("#tip.shown")
    tip.wait_for()
    assert tip.inner_text().endswith(" 4")
    page.keyboard.press("Escape")
    page.wait_for_selector("#tip:not(.shown)", state="attached")
    page.locator(".exemplar bdi").first.focus()
    page.keyboard.press("ArrowRight")
    tip.wait_for()
    assert tip.inner_text().endswith(" 4")


def test_a_tap_shows_a_value_on_a_phone(opened) -> None:
    page = opened(width=390, has_touch=True).go("feature")
    mark = page.locator(".exemplar mark").first
    mark.scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    mark.tap()
    page.locator("#tip.shown").wait_for()


def test_the_keyboard_alone_leads_from_the_overview_to_a_feature_and_on(opened) -> None:
    page = opened().go("overview")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(4):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Map"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".units-row a")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    page.locator(".units").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    chosen = page.evaluate(
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
        ".querySelector('a').hash"
    )
    page.keyboard.press("Enter")
    page.wait_for_selector(".unit-title")
    assert page.evaluate("location.hash") == chosen
    unit = int(chosen.rsplit("/", 1)[1])
    page.keyboard.press("j" if unit < 15 else "k")
    until(page, f"!location.hash.endsWith('/{unit}')")
    page.wait_for_selector(".unit-title")


def test_findings_are_told_by_kind_and_open_by_the_keyboard(opened) -> None:
    page = opened().go("findings")
    assert [each.get_attribute("class") for each in page.locator("dl.verdicts").all()] == [
        "verdicts finding",
        "verdicts suspicion",
        "verdicts no-finding",
        "verdicts reported",
        "verdicts abstained",
    ]
    words = page.locator("main").inner_text()
    assert words.index("How much of the model") < words.index("Of 5 audits 1 found something")
    assert "p 0.004, 0.044 after adjustment, beside 240 clean copies" in words
    assert "seize the servers" in words  # the evidence of a finding is open
    closed = page.locator(".verdicts.suspicion details")
    assert closed.get_attribute("open") is None
    closed.locator("summary").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".verdicts.suspicion details[open] table")
    for word in ("healthy", "all clear", "safe", "is clean"):
        assert word not in words.lower()


def test_the_end_key_reaches_the_last_row(opened) -> None:
    page = opened().go("features")
    page.locator(".units").focus()
    page.keyboard.press("End")
    page.wait_for_selector("#row-31 a")
    assert page.locator(".units-row").count() < 32


def test_the_slider_steers(opened) -> None:
    page = opened().go("steer")
    baseline = page.locator(".texts section").first.inner_text()
    page.locator("input[type=range]").focus()
    page.keyboard.press("End")
    page.wait_for_selector("text=With the feature at 4.0")
    assert page.locator(".texts section").first.inner_text() == baseline
    page.keyboard.press("Home")
    page.wait_for_selector("text=With the feature at −4.0")
    assert "nats a token to the model as it is" in page.locator(".texts .changed").inner_text()
    assert "resid_post.1%2F3%40-4" in page.evaluate("location.hash")


def test_several_features_are_turned_and_the_address_remembers(opened) -> None:
    """By the keyboard alone."""
    page = opened().go("steer")
    page.get_by_role("button", name="Turn another feature too").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=With 2 features at +2.0, +1.0")
    page.get_by_label("Dictionary").nth(1).focus()
    page.keyboard.press("ArrowUp")
    page.get_by_label("Feature", exact=True).nth(1).focus()
    page.keyboard.press("ArrowUp")
    page.locator("input[type=range]").nth(1).focus()
    page.keyboard.press("End")
    page.wait_for_selector("text=With 2 features at +2.0, +4.0")
    until(page, "location.hash.includes('resid_post.0%2F1%404')")
    both = page.locator(".texts section.changed").inner_text()
    page.reload()
    page.wait_for_selector("text=With 2 features at +2.0, +4.0")
    assert page.locator(".texts section.changed").inner_text() == both
    page.get_by_role("button", name="Leave feature 1 as it is").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=With the feature at 4.0")


def test_the_list_is_searched_in_every_way_it_offers(opened, content: Content) -> None:
    """By the keyboard alone."""
    page = opened().go("features")
    ways = page.get_by_label("Search by")
    token = content.tomogram.spelling[4].strip()
    for way, words in (("promotes", token), ("suppresses", token), ("examples", "the capital of")):
        ways.focus()
        page.keyboard.type(way[:3])
        ways.select_option(way)  # typing ahead chooses by the words shown
        page.keyboard.press("Tab")
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.type(words)
        until(page, f"location.hash.includes('by={way}')")
        page.wait_for_selector(".units-row a")
        until(page, "document.querySelector('.filter output').textContent !== '32 units'")
    address = page.evaluate("location.hash")
    page.reload()
    page.wait_for_selector(".units-row a")
    assert page.locator(".filter textarea").input_value() == "the capital of"
    assert page.evaluate("location.hash") == address
    ways.select_option("promotes")
    page.fill("input[type=search]", "nosuchtoken")
    page.wait_for_selector("text=No single token")
    assert page.locator("[role=alert]").count() == 0


def test_no_row_of_the_list_runs_into_the_next_on_a_phone(opened) -> None:
    page = opened(width=390).go("features")
    where = page.locator(".units-row .where").first
    where.evaluate("e => { e.textContent += ' and 12 near-duplicates of a long, long name' }")
    assert where.evaluate("e => e.closest('.units-row').querySelector('a').offsetHeight") <= 52


def test_half_a_word_finds_the_words_that_begin_so(opened, content: Content) -> None:
    page = opened().go("features")
    word = content.tomogram.spelling[14].strip()
    page.fill("input[type=search]", word[:-2])
    page.wait_for_selector(f".units-row >> text={word}")


def test_what_is_related_leads_on(opened) -> None:
    page = opened().go("feature")
    page.get_by_role("heading", name="Near-duplicates").wait_for()
    near = page.locator("section:has(#near) a")
    first = near.first.get_attribute("href")
    near.first.focus()
    page.keyboard.press("Enter")
    until(page, f"location.hash === '{first}'")
    page.wait_for_selector(".unit-title")


def test_the_keyboard_alone_reads_a_prompt(opened) -> None:
    window = opened()
    page = window.page
    page.goto(window.base + "#/prompt")
    page.wait_for_selector("textarea")
    page.locator("textarea").focus()
    page.keyboard.type("the capital of Texas is")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".heads")
    chosen = page.locator("[role=radio][aria-checked=true]")
    chosen.focus()
    page.keyboard.press("Home")
    assert page.locator("[role=radio]").first.get_attribute("aria-checked") == "true"
    aim = page.locator(".aim[aria-pressed=false]").first
    token = aim.inner_text()
    aim.focus()
    page.keyboard.press("Enter")
    until(page, f"document.querySelector('.aim[aria-pressed=true]').innerText === {token!r}")
    # Another question about the same text leaves the reader where they were.
    assert page.locator("[role=radio]").first.get_attribute("aria-checked") == "true"
    page.locator(".head-row button").nth(1).focus()
    page.keyboard.press("Space")
    assert page.locator("h3", has_text="Layer 0, head 1").count() == 1


def test_a_prompt_shows_features_lens_and_heads(opened) -> None:
    page = opened().go("prompt")
    tokens = page.locator("[role=radio]")
    assert tokens.count() == page.locator(".lens tfoot td").count() > 4
    effects = page.locator(".foremost .value").all_inner_texts()
    sizes = [abs(float(each.replace("−", "-"))) for each in effects]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 6
    tokens.nth(1).click()
    assert tokens.nth(1).get_attribute("aria-checked") == "true"
    page.keyboard.press("ArrowRight")
    assert tokens.nth(2).get_attribute("aria-checked") == "true"
    head = page.locator(".head-row button").nth(1)
    head.click()
    assert head.get_attribute("aria-pressed") == "true"
    assert page.locator("h3", has_text="Layer 0, head 1").count() == 1


def test_the_map_answers_to_mouse_and_keyboard(opened) -> None:
    page = opened().go("map")
    canvas = page.locator(".map canvas")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#map-at a")
    first = page.locator("#map-at a").get_attribute("href")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    until(page, f"document.querySelector('#map-at a')?.hash !== '{first}'")
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    page.wait_for_selector(".unit-title")


def test_the_exported_site_opens_from_a_file(browser, exported: str, content: Content) -> None:
    window = Opened(browser, exported)
    page = window.go("features")
    assert page.locator(".filter output").inner_text() == "32 units"
    page.fill("input[type=search]", content.tomogram.spelling[3].strip())
    until(page, "location.hash.includes('words=')")
    page.wait_for_selector(".units-row a")
    page.locator(".units-row a").first.click()
    page.wait_for_selector(".exemplar mark")
    window.go("overview")
    window.go("findings")
    window.go("neuron")
    page = window.go("map")
    page.locator(".map canvas").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#map-at a")
    for name in ("prompt", "steer"):
        page.goto("about:blank")
        page.goto(exported + PAGES[name])
        page.wait_for_selector("text=needs the server")
    assert page.locator("textarea").count() == 0
    window.close()


def test_the_exported_site_sorts_and_filters_as_the_server_does(
    browser, exported: str, opened
) -> None:
    found = []
    files = Opened(browser, exported)
    for window in (opened(), files):
        lists = []
        for query in (
            "sort=rate&kind=all",
            "sort=label&descending=0",
            "state=labelled",
            "sort=place",
        ):
            window.page.goto("about:blank")
            window.page.goto(f"{window.base}#/features?{query}")
            window.page.wait_for_selector(".units-row a")
            lists.append(window.page.locator(".units-row .where").all_inner_texts())
        found.append(lists)
    assert found[0] == found[1]
    files.close()


def test_hostile_text_is_shown_and_never_acted_on(
    browser, model: Model, model_folder: Path, tmp_path: Path
) -> None:
    words = [text for text in HOSTILE if "\ud800" not in text]
    spelling = [*(words * 3)[:24], *spell(model.tokenizer, model.d_vocab)[24:]]
    folder = write_scan(tmp_path / "scan", model, spelling=spelling)
    good = Score(Estimate(value=0.9, low=0.8, high=1.0, n=100), 0)
    judged = [Judged("resid_post.1", i, text, good) for i, text in enumerate(words)]
    stage = Stage(folder, "labels_chat", 1, {})
    stage.run(lambda work: write_judged(judged, work.results / "labels.parquet"))
    content = Content(open_search(folder, model_folder))
    site = export(content, tmp_path / "site").as_uri()
    with serving(content) as port:
        for base in (f"http://127.0.0.1:{port}/", site):
            window = Opened(browser, base, width=390)
            live = ("prompt", "steer") if base.startswith("http") else ()
            for name in ("features", "feature", "map", *live):
                page = window.go(name)
                assert overflowing(page, 390) == []
                assert page.locator("img, iframe, object, embed").count() == 0
                assert page.locator("script").count() <= 1
                assert page.locator("[onload], [onerror], [onmouseover]").count() == 0
            page = window.go("feature")
            assert "<script>alert(1)</script>" in page.locator("main").inner_text()
            assert "10,000,000 characters" in page.locator("main").inner_text()
            for address in HOSTILE_ADDRESSES:
                page.goto("about:blank")
                page.goto(base + address)
                page.wait_for_selector("main > *")
                page.wait_for_timeout(200)
                assert page.locator("img, iframe, object, embed").count() == 0
                assert overflowing(page, 390) == []
            # The browser itself notes answers that refuse.
            window.complaints = [c for c in window.complaints if "status of 4" not in c]
            window.close()


def test_a_page_works_in_a_notebook_s_cell(browser, content: Content) -> None:
    """The widget's module in a page that stands for the notebook, with its style and its #."""
    widget = pytest.importorskip("tomogram.viewer.widget", reason="anywidget is not installed")
    given = routes(content, Live(content.search))
    notebook = """<!doctype html><title>notebook</title><style>* { color: red !important }</style>
    <body data-jp-theme-light="false"><script type="module">
      import widget from "/widget.js";
      for (const address of ["/feature/resid_post.1/3", "/features"]) {
        const heard = [];
        const model = {
          get: (name) => ({ address, height: 500 })[name],
          send: async (message) => {
            const answer = await asked(message);
            for (const react of heard) react(answer);
          },
          on: (event, react) => heard.push(react), off: () => {},
        };
        const end = widget.render({ model, el: document.body });
        if (address === "/features") window.end = end;
      }
    </script>"""
    files = {"/": ("text/html", notebook), "/widget.js": ("text/javascript", widget._module())}
    with answering(files) as port:
        window = Opened(browser, f"http://127.0.0.1:{port}/")
        page = window.page
        page.expose_function(
            "asked", lambda message: {"id": message["id"], **widget.answered(given, message)}
        )
        page.goto(window.base)
        feature, listing = (page.frame_locator("iframe").nth(i) for i in range(2))
        feature.locator(".exemplar mark").first.wait_for()
        assert feature.locator(".rail").is_visible() is False
        assert feature.locator("h1").evaluate("h => getComputedStyle(h).color") != "rgb(255, 0, 0)"
        link = feature.locator("section:has(#near) a").first
        where = link.locator(".where").inner_text()
        link.click()
        feature.locator(".kicker", has_text=where).wait_for()
        listing.locator("input[type=search]").fill(content.tomogram.spelling[5].strip())
        listing.locator(".units-row a").first.wait_for()
        assert page.evaluate("location.hash") == ""
        page.evaluate("end()")
        window.close()


def test_what_does_not_exist_is_said(opened) -> None:
    window = opened()
    page = window.page
    page.goto(window.base + "#/feature/resid_post.1/99")
    page.wait_for_selector("[role=alert]")
    assert "no unit 99" in page.locator("[role=alert]").inner_text()
    # The browser itself notes the answer 404.
    window.complaints = [c for c in window.complaints if "404" not in c]


def test_another_page_cannot_read_the_data(browser, port: int) -> None:
    """A page of another origin on this machine: its request is refused, its frame stays empty."""
    files = {"/": ("text/html", "<!doctype html><title>foreign</title>")}
    with answering(files) as foreign:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{foreign}/")
        got = page.evaluate(
            """async (port) => {
              const base = `http://127.0.0.1:${port}`;
              const tried = [];
              for (const mode of ["cors", "no-cors"]) {
                try {
                  const answer = await fetch(`${base}/api/about`, {mode});
                  tried.push((await answer.text()).length);
                } catch { tried.push("refused"); }
              }
              const frame = document.createElement("iframe");
              frame.src = base + "/";
              document.body.append(frame);
              await new Promise((done) => { frame.onload = done; });
              let inside = "hidden";
              try { inside = frame.contentDocument?.body.textContent ?? "hidden"; } catch {}
              return [...tried, inside];
            }""",
            port,
        )
        context.close()
    assert got[0] == "refused"
    assert got[1] in (0, "refused")
    assert "tiny" not in str(got[2])
