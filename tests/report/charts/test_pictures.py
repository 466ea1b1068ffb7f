"""Every chart, at many sizes: well-formed, inside its frame, described, with its true numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from tests.report.example import build_evidence, build_manifest, spread
from tomogram.report.charts.concept_scatter import concept_scatter
from tomogram.report.charts.concept_strips import concept_strips
from tomogram.report.charts.coverage_slice import coverage_slice, explained_shares
from tomogram.report.charts.depth_lines import lens_agreement, lens_divergence
from tomogram.report.charts.firing_histogram import firing_histogram
from tomogram.report.charts.head_map import SCORES, head_map, level
from tomogram.report.charts.loss_ruler import explained_of_context, loss_ruler, rungs
from tomogram.report.charts.parameter_stack import parameter_stack
from tomogram.report.charts.picture import Picture
from tomogram.report.charts.quality_by_layer import fvu_by_layer, rise_by_layer
from tomogram.report.charts.score_distribution import binned, score_distribution
from tomogram.report.charts.unit_counts import counts, unit_counts
from tomogram.store.schema import LayerParameters, Manifest, Parameters

SIZES = [(1, 1), (2, 3), (6, 6), (30, 9), (96, 64)]


def pictures(manifest: Manifest) -> Iterator[Picture]:
    """All charts of one manifest."""
    evidence = build_evidence(manifest, 2)
    concepts = manifest.concepts
    assert concepts is not None
    residual = [d for d in manifest.dictionaries if d.shape == "autoencoder"]
    yield coverage_slice(manifest.dictionaries, manifest.model.n_layers)
    yield loss_ruler(manifest.coverage, manifest.dictionaries)
    yield parameter_stack(manifest.model.parameters, tied=True)
    yield from (head_map(manifest.anatomy.heads, score) for score in SCORES)
    yield lens_agreement(manifest.anatomy.lens)
    yield lens_divergence(manifest.anatomy.lens)
    yield fvu_by_layer(residual, "residual dictionaries")
    yield rise_by_layer(residual, manifest.coverage.spliced[0], "residual dictionaries")
    yield rise_by_layer(residual, None, "residual dictionaries")
    yield unit_counts(manifest.groups, "Units")
    yield concept_scatter(concepts.concepts)
    yield concept_strips(concepts.concepts, concepts.means, "Concepts")
    yield score_distribution(evidence.feature_scores, evidence.neuron_scores)


@pytest.mark.parametrize(("n_layers", "n_heads"), SIZES)
def test_every_mark_lies_inside_the_drawing(n_layers: int, n_heads: int) -> None:
    for picture in pictures(build_manifest(n_layers, n_heads)):
        root = ElementTree.fromstring(picture.svg)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        assert width == 360
        assert root.attrib["aria-label"]
        for node in root.iter():
            for x, y in corners(node):
                assert -1 <= x <= width + 1, (picture.title, node.attrib)
                assert -1 <= y <= height + 1, (picture.title, node.attrib)


def corners(node: ElementTree.Element) -> list[tuple[float, float]]:
    """The extreme points of one mark; those of text are its anchor alone."""
    a = {k: float(v) for k, v in node.attrib.items() if re.fullmatch(r"-?[\d.]+(e-?\d+)?", v)}
    match node.tag:
        case "rect" if "x" in a and "y" in a:
            assert a["width"] >= 0
            assert a["height"] >= 0
            return [(a["x"], a["y"]), (a["x"] + a["width"], a["y"] + a["height"])]
        case "circle":
            return [(a["cx"] - a["r"], a["cy"] - a["r"]), (a["cx"] + a["r"], a["cy"] + a["r"])]
        case "line":
            return [(a["x1"], a["y1"]), (a["x2"], a["y2"])]
        case "text":
            return [(a["x"], a["y"])]
        case "path" if node.attrib.get("class") != "hatch":
            numbers = [float(n) for n in re.findall(r"-?[\d.]+", node.attrib["d"])]
            return list(zip(numbers[::2], numbers[1::2], strict=True))
    return []


def test_the_slice_says_how_much_is_explained_and_what_is_dark() -> None:
    manifest = build_manifest(2, 2)
    shares = explained_shares(manifest.dictionaries, 3)
    first = manifest.dictionaries[0]
    assert shares[0, "residual stream"] == pytest.approx(1 - first.quality.fvu)
    assert shares[0, "attention"] is None
    assert all(shares[2, part] is None for part in ("attention", "MLP", "residual stream"))
    picture = coverage_slice(manifest.dictionaries, 3)
    assert picture.rows[2] == ("2", "not scanned", "not scanned", "not scanned")
    assert "No dictionary reads attention." in picture.svg


def test_a_reconstruction_worse_than_the_mean_explains_nothing() -> None:
    first = build_manifest(1, 1).dictionaries[0]
    bad = first.model_copy(update={"quality": first.quality.model_copy(update={"fvu": 1.7})})
    assert explained_shares([bad], 1)[0, "residual stream"] == 0.0


def test_the_ruler_climbs_from_the_model_to_token_frequencies() -> None:
    manifest = build_manifest()
    ladder = rungs(manifest.coverage, manifest.dictionaries)
    assert ladder[0].loss == manifest.coverage.loss.value
    assert [rung.loss for rung in ladder if rung.rise] == pytest.approx([1.14 + 1.31, 1.14 + 0.92])
    assert ladder[-1].loss == 5.93


def test_what_the_model_knows_is_counted_from_token_frequencies() -> None:
    coverage = build_manifest().coverage
    assert explained_of_context(coverage, 0.0) == 1.0
    assert explained_of_context(coverage, 4.79) == pytest.approx(0.0)
    assert explained_of_context(coverage, 9.0) == 0.0
    blind = coverage.model_copy(update={"unigram_loss": None})
    assert explained_of_context(blind, 1.0) is None
    useless = coverage.model_copy(update={"loss": spread(7.0, 0.1)})
    assert explained_of_context(useless, 1.0) is None


def test_areas_of_the_stack_are_to_scale() -> None:
    layers = (LayerParameters(attention=100, mlp=300), LayerParameters(attention=100, mlp=300))
    parameters = Parameters(total=1700, embedding=600, unembedding=300, layers=layers)
    root = ElementTree.fromstring(parameter_stack(parameters, tied=False).svg)
    areas: dict[str, list[float]] = {}
    for node in root.iter("rect"):
        area = float(node.attrib["width"]) * float(node.attrib["height"])
        areas.setdefault(node.attrib["class"], []).append(area)
    per = areas["bar-mlp"][0] / 300
    assert areas["bar-attention"] == pytest.approx([100 * per] * 2, rel=0.01)
    assert areas["bar-embedding"] == pytest.approx([300 * per, 600 * per], rel=0.01)


def test_shades_cover_the_whole_range_and_nothing_else() -> None:
    assert [level(x) for x in (-1, 0, 0.5, 1, 7)] == [0, 0, 5, 10, 10]


def test_unit_states_add_up() -> None:
    for group in build_manifest().groups:
        assert sum(counts(group).values()) == group.units


def test_scores_fall_into_bins_whose_shares_add_up() -> None:
    shares = binned([0.0, 0.019, 0.5, 1.0])
    assert (shares[0], shares[12], shares[-1]) == (0.5, 0.25, 0.25)
    assert binned([]) == [0.0] * 25


def test_the_firing_histogram_keeps_only_where_a_unit_fires() -> None:
    drawing = firing_histogram([1, 2, 4, 8, 16], [0, 9, 1, 0])
    root = ElementTree.fromstring(drawing)
    heights = [float(node.attrib["height"]) for node in root.iter("rect")]
    assert heights == pytest.approx([32, 32 / 3], abs=0.01)
    assert "10 firings" in root.attrib["aria-label"]
    assert firing_histogram([1, 2], [0]) == ""


def test_numbers_in_the_tables_are_those_of_the_records() -> None:
    manifest = build_manifest()
    rows = head_map(manifest.anatomy.heads, "induction").rows
    assert len(rows) == 36
    head = next(h for h in manifest.anatomy.heads if (h.layer, h.head) == (3, 2))
    assert rows[3 * 6 + 2] == ("3", "2", rows[3 * 6 + 2][2])
    assert rows[3 * 6 + 2][2].startswith(f"{head.induction.value:.2f} (")


def test_a_picture_with_a_short_row_is_refused() -> None:
    with pytest.raises(ValueError, match="one cell per column"):
        Picture("t", "c", "", ("a", "b"), (("1",),))
