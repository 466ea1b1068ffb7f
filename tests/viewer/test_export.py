"""The exported folder: complete, plain scripts, and nothing in them that could act."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.report.test_page import HOSTILE
from tests.viewer.folder import write_scan
from tomogram.models.model import Model
from tomogram.pipeline.searching import open_search
from tomogram.store.errors import TomogramError
from tomogram.viewer.content import Content
from tomogram.viewer.export import CHUNK, export


@pytest.fixture(scope="module")
def site(content: Content, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages in a folder."""
    return export(content, tmp_path_factory.mktemp("export") / "site").parent


def chunk(site: Path, name: str) -> object:
    """The JSON that a script hands over."""
    found = re.fullmatch(
        r'tomogramChunk\("([^"]+)",(.*)\);\n', (site / "data" / f"{name}.js").read_text("ascii")
    )
    assert found is not None
    assert found[1] == name
    return json.loads(found[2])


def test_every_unit_stands_where_the_page_looks_for_it(site: Path, content: Content) -> None:
    for number, group in enumerate(content.tomogram.manifest.groups):
        for unit in range(group.units):
            units = chunk(site, f"features-{number}-{unit // CHUNK}")
            found = units[unit % CHUNK]
            assert (found["family"], found["unit"]) == (group.name, unit)
    assert chunk(site, "features-0-0")[3] == json.loads(
        json.dumps(content.feature("resid_post.0", 3))
    )


def test_the_model_s_pages_say_that_they_need_the_server(site: Path) -> None:
    assert "server" in chunk(site, "about")["live"]


def test_the_same_scan_gives_the_same_bytes(content: Content, site: Path, tmp_path: Path) -> None:
    again = export(content, tmp_path / "site").parent
    ours = {p.relative_to(site): p.read_bytes() for p in site.rglob("*") if p.is_file()}
    theirs = {p.relative_to(again): p.read_bytes() for p in again.rglob("*") if p.is_file()}
    assert ours == theirs


def test_no_chunk_can_end_its_script(model: Model, tmp_path: Path) -> None:
    words = [text for text in HOSTILE if "\ud800" not in text]
    scan = write_scan(tmp_path / "scan", model, spelling=(words * 3)[:24])
    site = export(Content(open_search(scan)), tmp_path / "site").parent
    for path in (site / "data").iterdir():
        data = path.read_bytes()
        assert data.isascii()
        assert b"<" not in data


def test_a_folder_of_something_else_is_left_alone(content: Content, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(TomogramError, match="something else"):
        export(content, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
