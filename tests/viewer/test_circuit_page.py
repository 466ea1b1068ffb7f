"""The circuit page in a real Chromium."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.viewer.conftest import serving
from tests.viewer.test_browser import Opened, axe, overflowing, until, violations
from tomogram.circuits.graph.export import document, read_graph, write_graph
from tomogram.circuits.graph.scores import prune, scores
from tomogram.circuits.graph.targets import Likely
from tomogram.circuits.graph.trace import Limits
from tomogram.models.model import Model
from tomogram.pipeline.tracing import trace
from tomogram.viewer.content import Content
from tomogram.viewer.export import export
from tomogram.viewer.graphs import Graphs, find

__all__ = ["axe"]  # a fixture that stands elsewhere
PROMPT = "the capital of Texas is"


@pytest.fixture(scope="module")
def graphs(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Graphs:
    """One checked graph of the scanned model."""
    folder = tmp_path_factory.mktemp("graphs")
    found = trace(model, PROMPT, Likely(), limits=Limits(nodes=60), edges=20, looks=2).graph
    content = document(found, prune(found, nodes=1.0, edges=1.0), scores(found))
    write_graph(folder / "texas.json", content)
    return find([folder])


@pytest.fixture
def window(browser, content: Content, graphs: Graphs) -> Iterator[Opened]:
    """The served page of the graph."""
    with serving(content, graphs) as port:
        opened = Opened(browser, f"http://127.0.0.1:{port}/")
        opened.page.goto(opened.base + "#/circuit/texas")
        opened.page.wait_for_selector(".circuit .node")
        # Neurons of a model that was never trained matter little: they are shown with all the rest.
        opened.page.locator("input[type=range] >> nth=0").fill("1")
        opened.page.wait_for_selector(".circuit .node.neuron")
        yield opened
        opened.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_passes_axe(browser, content, graphs, axe, width, scheme) -> None:
    with serving(content, graphs) as port:
        opened = Opened(browser, f"http://127.0.0.1:{port}/", width=width, scheme=scheme)
        for place in ("#/circuit", "#/circuit/texas"):
            opened.page.goto("about:blank")
            opened.page.goto(opened.base + place)
            opened.page.wait_for_selector(
                ".graph-list" if place.endswith("t") else ".circuit .node"
            )
            assert violations(opened.page, axe) == []
            assert overflowing(opened.page, width) == []
        opened.close()


def test_the_prune_sliders_leave_less(window: Opened) -> None:
    page = window.page
    before = page.locator(".circuit .node").count()
    page.locator("input[type=range] >> nth=0").fill("0.2")
    until(page, f"document.querySelectorAll('.circuit .node').length < {before}")
    wires = page.locator(".circuit .wire").count()
    page.locator("input[type=range] >> nth=1").fill("1")
    until(page, f"document.querySelectorAll('.circuit .wire').length > {wires}")


def test_pointing_tells_and_pressing_pins_for_the_next_visit(window: Opened) -> None:
    page = window.page
    node = page.locator(".circuit .node.neuron").first
    node.hover()
    name = node.get_attribute("aria-label")
    page.wait_for_selector(f".node-details h3 >> text={name}")
    node.click()
    page.wait_for_selector(".circuit .node.pinned")
    until(page, "location.hash.includes('pins=')")
    page.reload()
    page.wait_for_selector(".circuit .node.pinned")
    assert page.locator(".pin-list li").inner_text() == name


def test_arrow_keys_walk_and_enter_pins(window: Opened) -> None:
    page = window.page
    page.locator(".circuit .node[tabindex='0']").focus()
    first = page.evaluate("document.activeElement.getAttribute('data-key')")
    page.keyboard.press("ArrowDown")
    until(page, f"document.activeElement.getAttribute('data-key') !== '{first}'")
    page.keyboard.press("Enter")
    page.wait_for_selector(".circuit .node.pinned")


def test_a_node_dragged_onto_another_makes_a_supernode(window: Opened) -> None:
    page = window.page
    groups = page.locator(".group-list li").count()
    nodes = page.locator(".circuit .node.neuron")
    before = page.locator(".circuit .node").count()
    # The first two neurons that are in no frame, or in different ones.
    nodes.nth(0).drag_to(nodes.nth(nodes.count() - 1))
    page.wait_for_selector(".check input:checked")
    until(page, f"document.querySelectorAll('.circuit .node').length < {before}")
    assert page.locator(".group-list li").count() in (groups, groups + 1)


def test_edited_supernodes_are_saved_in_a_file_that_is_read_again(
    window: Opened, tmp_path: Path, graphs: Graphs
) -> None:
    page = window.page
    nodes = page.locator(".circuit .node.neuron")
    nodes.nth(0).drag_to(nodes.nth(nodes.count() - 1))
    page.wait_for_selector(".group-list input")
    page.locator(".group-list input").last.fill("my own name")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save the graph with these supernodes").click()
    waiting.value.save_as(tmp_path / "edited.json")
    edited, _ = read_graph(tmp_path / "edited.json")
    (own,) = [each for each in edited.supernodes if each.label == "my own name"]
    assert len(own.nodes) > 1
    before = graphs.graph("texas")
    assert (edited.edges != before.edges).nnz == 0


def test_pinned_neurons_are_changed_in_the_running_model(window: Opened) -> None:
    page = window.page
    page.locator(".circuit .node.neuron").first.click()
    page.get_by_role("button", name="Change 1 neuron").click()
    page.wait_for_selector(".silenced tbody tr")
    assert page.locator(".silenced tbody tr").count() == 8


def test_measured_lines_are_told(window: Opened, graphs: Graphs) -> None:
    proof = graphs.one("texas")["proof"]
    page = window.page
    page.locator(".numbers summary").first.click()
    assert page.locator(".numbers tbody tr").count() == len(proof["edges"]) > 0
    page.locator("input[type=range] >> nth=0").fill("1")
    page.locator("input[type=range] >> nth=1").fill("1")
    page.wait_for_selector(".circuit .measured", state="attached")


def test_the_saved_svg_stands_by_itself(window: Opened, tmp_path: Path) -> None:
    page = window.page
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as SVG").click()
    file = tmp_path / "graph.svg"
    waiting.value.save_as(file)
    assert waiting.value.suggested_filename == "texas.svg"
    root = ET.parse(file).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    marks = [each for each in root.iter() if each.get("fill", "").startswith("rgb")]
    assert len(marks) > page.locator(".circuit .node").count()
    assert not [each for each in root.iter() if each.get("class")]


def test_the_export_shows_the_graph_and_offers_no_change(
    browser, content: Content, graphs: Graphs, tmp_path: Path
) -> None:
    opened = Opened(browser, export(content, tmp_path / "site", graphs).as_uri())
    opened.page.goto(opened.base + "#/circuit/texas")
    opened.page.wait_for_selector(".circuit .node")
    opened.page.locator("input[type=range] >> nth=0").fill("1")
    opened.page.locator(".circuit .node.neuron").first.click()
    opened.page.wait_for_selector(".pin-list li")
    assert opened.page.locator("text=Change 1 neuron").count() == 0
    opened.close()
