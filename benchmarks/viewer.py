"""Viewer: how fast the list of 100,000 features answers and scrolls, and how large the page is.

The scan is made up (`benchmarks.synthetic`), with twelve exemplars a feature. Questions are those
of the features page and of a feature's page: words as they are typed, filters, every order, places
from the first row to the last, one feature's exemplars and what is related to it. Where Chromium is
installed, the list is also scrolled through in it, and the time between frames measured, and words
are typed, and the time until their rows are there.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from benchmarks.harness import Figure, main
from benchmarks.harvest import subject
from benchmarks.synthetic import made_scan, words_of
from tomogram.viewer import bundle
from tomogram.viewer.catalogue import SORTS, Catalogue, Wanted
from tomogram.viewer.labels import Labels
from tomogram.viewer.live import Live
from tomogram.viewer.related import Related
from tomogram.viewer.routes import Routes
from tomogram.viewer.server import serve

UNITS, EXEMPLARS = 100_000, 12
QUESTIONS = 200
LATEST_MS = 100.0
FRAME_MS = 50.0
"""Longer between two frames is seen as a stutter."""
STEPS, WORDS = 120, 20


def measure(quick: bool) -> dict[str, Figure]:
    """Time to open, then the 95 % quantile of each kind of answer in milliseconds."""
    units = 6_000 if quick else UNITS
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        search = made_scan(Path(name), subject(), units, rng, exemplars=EXEMPLARS)
        tables, live = search.tomogram.features, Live(search)
        start = time.perf_counter()
        catalogue = Catalogue(tables, search.catalogue, Labels({}, {}))
        opened = time.perf_counter() - start
        start = time.perf_counter()
        live.find("words", "the")
        indexed = time.perf_counter() - start
        tables.hold("related")
        related = Related(tables, search.catalogue)
        total = len(search.catalogue)
        words = words_of(search)
        ranks = np.unique(np.geomspace(1, len(words) - 1, QUESTIONS).astype(int))
        # As they are typed: a whole word and the beginning of another.
        typed = [f"{words[rank]} {words[int(rng.integers(len(words)))][:3]}*" for rank in ranks]

        def one() -> tuple[str, int]:
            return search.catalogue.name(int(rng.integers(total)))

        asked: dict[str, Callable[[], Any]] = {
            "search by words": lambda: catalogue.rows(
                Wanted(kind="latent"), live.find("words", str(rng.choice(typed)))
            ),
            "sorted page anywhere": lambda: catalogue.rows(
                Wanted(
                    sort=str(rng.choice(sorted(SORTS))),
                    descending=bool(rng.integers(2)),
                    offset=int(rng.integers(total)),
                )
            ),
            "exemplars of a feature": lambda: catalogue.exemplars(*_listed(one())),
            "what is related to a feature": lambda: related.of(*_listed(one())),
        }
        figures = {
            f"open {total:,} features, seconds": Figure(opened),
            "making the index of words, seconds": Figure(indexed),
        }
        for words_said, ask in asked.items():
            taken = sorted(_milliseconds(ask) for _ in range(QUESTIONS))
            at = taken[int(0.95 * QUESTIONS)]
            figures[f"{words_said}, ms (95 %)"] = Figure(
                at, taken[0], taken[-1], LATEST_MS, at_least=False
            )
        figures |= _in_chromium(catalogue, live, words)
    size = sum(len(bundle.asset(asset)) for asset in bundle.ASSETS)
    figures["page's own files, kB"] = Figure(size / 1000)
    return figures


def _in_chromium(catalogue: Catalogue, live: Live, words: Sequence[str]) -> dict[str, Figure]:
    """The list as a person meets it; nothing where there is no browser to meet it in."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return {}
    if chromium is None:
        return {}

    def listing(query: dict[str, Any]) -> dict[str, Any]:
        wanted = Wanted(kind="latent", offset=int(query["offset"]), limit=int(query["limit"]))
        found = live.find("words", query["words"]) if query.get("words") else None
        return {**catalogue.rows(wanted, found), "note": ""}

    # All that the page of the list reads of the scan as a whole.
    about = {"families": [], "ways": ["words"], "live": "", "model": {"name": "made up"}}
    server = serve(Routes({"/api/about": lambda q: about, "/api/features": listing}, {}), 0)
    Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/#/features")
        page.wait_for_selector(".units-row a")
        frames = sorted(page.evaluate(_SCROLL, STEPS))
        shown = sorted(
            page.evaluate(_TYPE, words[int(rank)])
            for rank in np.geomspace(1, len(words) - 1, WORDS)
        )
        browser.close()
    server.shutdown()
    server.server_close()
    return {
        "scrolling: 95 % of frames within, ms": Figure(
            frames[int(0.95 * len(frames))], frames[0], frames[-1], FRAME_MS, at_least=False
        ),
        "from a key to its rows, ms (95 %)": Figure(
            shown[int(0.95 * len(shown))], shown[0], shown[-1]
        ),
    }


_SCROLL = """async (steps) => {
  const list = document.querySelector(".units");
  const frame = () => new Promise(requestAnimationFrame);
  const taken = [];
  let before = await frame();
  for (let i = 0; i < steps; i++) {
    list.scrollTop += i % 10 ? 400 : 200000;
    const now = await frame();
    taken.push(now - before);
    before = now;
  }
  return taken;
}"""
"""Milliseconds between frames while the list is scrolled by hand, and flung every tenth time."""
_TYPE = """async (word) => {
  const field = document.querySelector("input[type=search]");
  const first = () => document.querySelector(".units-row a")?.getAttribute("href");
  field.value = "";
  field.dispatchEvent(new Event("input", { bubbles: true }));
  await new Promise((done) => setTimeout(done, 600));
  const before = first();
  const start = performance.now();
  field.value = word;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  while ((first() ?? before) === before && performance.now() - start < 5000)
    await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""
"""Milliseconds from a key in the search to other rows on the page."""


def _listed(key: tuple[str, int]) -> tuple[str, list[int]]:
    return key[0], [key[1]]


def _milliseconds(ask: Callable[[], Any]) -> float:
    start = time.perf_counter()
    ask()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main("viewer", measure)
