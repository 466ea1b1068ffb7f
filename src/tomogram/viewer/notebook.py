"""Notebook: the viewer's pages inline in Jupyter.

view = tomogram.view("microworld.tomogram")
view.features.show("resid_post.2/119")
view.prompt("the capital of Texas is").show()
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tomogram.features.search.hits import Hit
from tomogram.models.model import Model
from tomogram.pipeline.searching import LIMIT, Search
from tomogram.report.tomogram import open_tomogram
from tomogram.store.errors import TomogramError
from tomogram.viewer.content import Content
from tomogram.viewer.live import Live
from tomogram.viewer.routes import Routes, routes

HEIGHT = 640
"""Pixels that a page takes of a notebook, unless told otherwise."""


@dataclass(frozen=True, eq=False)
class Page:
    """One page of the viewer. It is shown where it is the last line of a cell, or by `show`."""

    routes: Routes
    address: str
    """What stands behind the # of the page's address."""

    def widget(self, height: int = HEIGHT) -> Any:
        """The page as a widget that other widgets can hold.

        Raises TomogramError where the extra `notebook` is not installed.
        """
        try:
            from tomogram.viewer.widget import PageWidget
        except ImportError as error:
            raise TomogramError(
                "Pages in a notebook need the extra: pip install 'tomogram[notebook]'."
            ) from error
        return PageWidget(self.routes, self.address, height)

    def show(self, height: int = HEIGHT) -> None:
        """Show the page here, `height` pixels of it."""
        widget = self.widget(height)
        from IPython.display import display

        display(widget)

    def _repr_mimebundle_(self, **given: Any) -> Any:
        return self.widget()._repr_mimebundle_(**given)


@dataclass(frozen=True, eq=False)
class Features:
    """All units of a scan: found, and shown."""

    search: Search
    routes: Routes

    def find(self, words: str, *, limit: int = LIMIT) -> list[Hit]:
        """Features by words of their labels, exemplars and promoted tokens (`tomogram search`)."""
        return self.search.by_words(words, limit=limit)

    def page(self, unit: int | str | Hit, family: str | None = None) -> Page:
        """The page of one unit.

        Args:
            unit: `FAMILY/NUMBER`, a hit of a search, or a number.
            family: of a number; not needed where the scan has one dictionary.

        Raises TomogramError where there is no such unit.
        """
        number: int | str
        if isinstance(unit, Hit):
            family, number = unit.family, unit.unit
        elif isinstance(unit, str):
            family, _, number = unit.rpartition("/")
        else:
            family, number = family if family is not None else self._only(), unit
        if not str(number).isdecimal():
            raise TomogramError(f"{unit!r} names no unit; it looks like resid_post.3/120.")
        self.search.catalogue.number(family, int(number))
        return Page(self.routes, f"/feature/{quote(family, safe='')}/{int(number)}")

    def show(
        self, unit: int | str | Hit | None = None, family: str | None = None, height: int = HEIGHT
    ) -> None:
        """Show the page of one unit, as `page` takes it, or the list of all."""
        page = Page(self.routes, "/features") if unit is None else self.page(unit, family)
        page.show(height)

    def _only(self) -> str:
        names = [g.name for g in self.search.tomogram.manifest.groups if g.kind == "latent"]
        if len(names) != 1:
            raise TomogramError(f"Say of which dictionary: {', '.join(names)}.")
        return names[0]


@dataclass(frozen=True, eq=False)
class View:
    """The pages of one scan."""

    search: Search

    @cached_property
    def _routes(self) -> Routes:
        return routes(Content(self.search), Live(self.search))

    @property
    def features(self) -> Features:
        """All units: `features.find("Texas")`, `features.show("resid_post.2/119")`."""
        return Features(self.search, self._routes)

    def prompt(self, text: str) -> Page:
        """What fires in a text and matters for the next token, the logit lens, attention."""
        return self._page("/prompt", text=text)

    def steer(self, prompt: str, turns: Mapping[str, float]) -> Page:
        """A prompt continued as the model is and with features turned.

        Args:
            turns: by `FAMILY/NUMBER` how far, in units of the feature's largest activation.
        """
        told = ",".join(f"{name}@{strength:g}" for name, strength in turns.items())
        return self._page("/steer", prompt=prompt, turns=told)

    @property
    def map(self) -> Page:
        """All features, near when they write nearly the same."""
        return self._page("/map")

    @property
    def quality(self) -> Page:
        """How good the dictionaries are."""
        return self._page("/quality")

    @property
    def overview(self) -> Page:
        """The scan as a whole."""
        return self._page("/")

    def show(self, height: int = HEIGHT) -> None:
        """Show the overview, from where links lead to all other pages."""
        self.overview.show(height)

    def _page(self, path: str, **query: str) -> Page:
        return Page(self._routes, path + (f"?{urlencode(query)}" if query else ""))


def view(
    folder: str | Path,
    model: str | Path | Model | None = None,
    *,
    dictionaries: str | Path | None = None,
    encoder: str | Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
) -> View:
    """The pages of a finished scan, for a notebook.

    Args:
        model: the scanned model, for prompts and steering; the shipped one, or what the scan calls
            it, when None.
        dictionaries: those the scan was given, if it was.
        encoder: a sentence encoder, to search by meaning.
        device, dtype: as `tomogram.load` takes them.

    Raises TomogramError where there is no finished scan.
    """
    return View(Search(open_tomogram(folder), model, dictionaries, encoder, device, dtype))
