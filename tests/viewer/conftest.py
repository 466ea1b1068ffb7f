"""One small scan, its content and a running server for all tests of the viewer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from tests.chromium import browser
from tests.viewer.folder import write_model, write_scan
from tomogram.models.model import Model
from tomogram.pipeline.searching import Search, open_search
from tomogram.viewer.content import Content
from tomogram.viewer.graphs import Graphs
from tomogram.viewer.live import Live
from tomogram.viewer.routes import routes
from tomogram.viewer.server import serve

__all__ = ["browser"]  # a fixture that stands elsewhere


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scanned model lies."""
    return tmp_path_factory.mktemp("viewer") / "model"


@pytest.fixture(scope="session")
def model(model_folder: Path) -> Model:
    """The scanned model."""
    return write_model(model_folder)


@pytest.fixture(scope="session")
def scan(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished scan."""
    return write_scan(tmp_path_factory.mktemp("viewer") / "tiny.tomogram", model)


@pytest.fixture(scope="session")
def search(scan: Path, model_folder: Path) -> Search:
    """Its searches."""
    return open_search(scan, model_folder)


@pytest.fixture(scope="session")
def content(search: Search) -> Content:
    """What its pages are made of."""
    return Content(search)


@pytest.fixture(scope="session")
def port(content: Content) -> Iterator[int]:
    """Where a server for it listens."""
    with serving(content) as number:
        yield number


class serving:
    """A server in a thread for as long as the block runs; gives its port."""

    def __init__(self, content: Content, graphs: Graphs | None = None) -> None:
        self.server = serve(routes(content, Live(content.search), graphs), 0)

    def __enter__(self) -> int:
        Thread(target=self.server.serve_forever, daemon=True).start()
        return int(self.server.server_address[1])

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
