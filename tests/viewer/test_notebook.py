"""Pages in a notebook: what they ask for, what they are answered, and the tutorial."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.report.folder import build_text
from tests.viewer.folder import write_scan
from tomogram.features.search.hits import Hit
from tomogram.models.load import load
from tomogram.pipeline.searching import Search
from tomogram.reference import path as shipped
from tomogram.reference.recipe import REFERENCE
from tomogram.store.errors import TomogramError
from tomogram.viewer import bundle
from tomogram.viewer.content import Content
from tomogram.viewer.live import Live
from tomogram.viewer.notebook import View
from tomogram.viewer.routes import routes

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def view(search: Search) -> View:
    return View(search)


def test_a_page_has_the_address_that_the_viewer_has(view: View) -> None:
    features = view.features
    expected = "/feature/resid_post.1/3"
    assert features.page("resid_post.1/3").address == expected
    assert features.page(3, "resid_post.1").address == expected
    assert features.page(Hit("resid_post.1", 3, 1.0, None)).address == expected
    assert view.prompt("a & b").address == "/prompt?text=a+%26+b"
    turned = view.steer("the", {"resid_post.1/3": 2, "resid_post.0/5": -1.5})
    assert (
        turned.address == "/steer?prompt=the&turns=resid_post.1%2F3%402%2Cresid_post.0%2F5%40-1.5"
    )


@pytest.mark.parametrize(
    ("unit", "family", "sentence"),
    [(3, None, "Say of which dictionary: resid_post.0, resid_post.1"), ("three", None, "no unit"),
     ("resid_post.1/99", None, "no unit 99"), (99, "resid_post.1", "no unit 99"),
     (-1, "resid_post.1", "names no unit"), ("../3", None, "no unit 3")],
)  # fmt: skip
def test_a_unit_that_is_not_there_is_refused_at_once(
    view: View, unit: int | str, family: str | None, sentence: str
) -> None:
    with pytest.raises(TomogramError, match=sentence):
        view.features.page(unit, family)


def test_features_are_found_as_the_command_finds_them(view: View, search: Search) -> None:
    word = search.tomogram.spelling[5].strip()
    assert view.features.find(word) == search.by_words(word)
    assert view.features.find(word)


def test_a_message_is_answered_as_the_server_answers(content: Content) -> None:
    widget = pytest.importorskip("tomogram.viewer.widget", reason="anywidget is not installed")
    given = routes(content, Live(content.search))

    def ask(**message: object) -> dict:
        return json.loads(json.dumps(widget.answered(given, message), allow_nan=False))

    unit = {"family": "resid_post.1", "unit": "3"}
    found = ask(method="GET", path="/api/feature", question=unit)
    assert found == {"value": json.loads(json.dumps(content.feature("resid_post.1", 3)))}
    for message in (
        {},
        {"method": "GET", "path": "/api/feature"},
        {"method": "GET", "path": "/etc/passwd", "question": {}},
        {"method": "GET", "path": "/api/prompt", "question": {}},
        {"method": "POST", "path": "/api/prompt", "question": {"text": 3}},
        {"method": "GET", "path": "/api/feature", "question": {**unit, "unit": "99"}},
    ):
        assert ask(**message)["error"].endswith(".")


def test_the_widget_s_messages_go_both_ways(view: View) -> None:
    pytest.importorskip("anywidget", reason="anywidget is not installed")
    widget = view.features.page("resid_post.1/3").widget(height=300)
    sent: list[dict] = []
    widget.send = sent.append
    question = {"family": "resid_post.1", "unit": "3"}
    message = {"id": "a-0", "method": "GET", "path": "/api/glance", "question": question}
    widget._handle_custom_msg(message, [])
    (answer,) = sent
    assert answer["id"] == "a-0"
    assert answer["value"]["unit"] == 3
    assert (widget.address, widget.height) == ("/feature/resid_post.1/3", 300)


def test_the_page_of_a_cell_loads_nothing_and_runs_only_its_own_script() -> None:
    page = bundle.whole("frame")
    assert page.count("<script") == page.count("</script>") == 1
    assert "src=" not in page.split("<script>")[0]
    policy = page.split('Content-Security-Policy" content="')[1].split('"')[0]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "connect-src" not in policy


def test_without_the_extra_the_page_says_what_to_install(view: View, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tomogram.viewer.widget", None)
    with pytest.raises(TomogramError, match=r"tomogram\[notebook\]"):
        view.overview.widget()


def test_the_tutorial_runs_from_start_to_end(root: Path, tmp_path: Path) -> None:
    """On made-up firings of the shipped model; a reader makes a real scan, which takes minutes."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("anywidget", reason="anywidget is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    import nbformat

    scan = write_scan(tmp_path / "microworld.tomogram", load(shipped()), name=REFERENCE.name)
    build_text().save(scan / "text" / "held_out.safetensors")
    notebook = nbformat.read(root / "examples" / "tutorial.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, resources=where).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    data = [output.data for output in outputs if WIDGET in output.get("data", {})]
    pages = [each for each in data if "PageWidget" in each["text/plain"]]  # others tell progress
    assert len(pages) == notebook_source(notebook).count(".show(")
    printed = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")
    assert "loss on ordinary text: " in printed


def notebook_source(notebook: Any) -> str:
    """All code of a notebook."""
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
