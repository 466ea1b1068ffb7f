"""What the pages are made of: figures as the tables have them, strings made harmless."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.report.findings import write_findings
from tests.report.folder import CONTEXT, PEAK, ROWS, build_text
from tests.report.test_page import HOSTILE
from tests.viewer.folder import write_scan
from tomogram.dictionaries.formats import own
from tomogram.features.judged import Judged, write_judged
from tomogram.features.judging.scores import Score
from tomogram.models.model import Model
from tomogram.pipeline.searching import open_search
from tomogram.report.tokens import inert
from tomogram.report.tomogram import open_tomogram
from tomogram.store.errors import TomogramError
from tomogram.store.schema import Estimate
from tomogram.store.stage import Stage
from tomogram.viewer.content import Content


def test_a_feature_page_says_what_the_text_says(content: Content) -> None:
    """In the example unit u fires on token u and nowhere else, always with activation 4."""
    unit = 5
    feature = content.feature("resid_post.1", unit)
    text = build_text()
    assert feature["count"] == int((text.tokens == unit).sum())
    assert feature["tokens"] == ROWS * CONTEXT
    assert feature["largest"] == feature["mean"] == PEAK
    assert sum(feature["histogram"]) == feature["count"]
    assert feature["top"]
    for exemplar in feature["top"]:
        row, offset = divmod(exemplar["position"], CONTEXT)
        assert text.tokens[row, offset] == unit
        assert exemplar["tokens"][exemplar["centre"]] == unit
        places = [i for i, token in enumerate(exemplar["tokens"]) if token == unit]
        assert [place for place, _ in exemplar["fires"]] == places
        assert all(value == PEAK for _, value in exemplar["fires"])
    (octave,) = feature["spread"]
    assert octave["from"] <= PEAK < octave["to"]


def test_what_writes_nearly_the_same_is_named_and_never_the_feature_itself(
    content: Content,
) -> None:
    near = content.feature("resid_post.0", 0)["related"]["resembles"]
    assert (near[0]["family"], near[0]["unit"]) == ("resid_post.0", 1)
    assert near[0]["near"] > 0.9
    assert ("resid_post.0", 0) not in [(unit["family"], unit["unit"]) for unit in near]
    assert near == sorted(near, key=lambda unit: -unit["near"])


def test_what_fires_on_the_same_token_stands_in_every_relation(content: Content) -> None:
    """In the example unit u of every family fires on token u and nowhere else."""
    found = content.feature("resid_post.0", 5)
    related = found["related"]
    for relation, family in (
        ("cofires", "resid_post.1"),
        ("later", "resid_post.1"),
        ("neuron", "neurons.0"),
    ):
        (other,) = related[relation]
        assert (other["family"], other["unit"], other["near"]) == (family, 5, 1.0)
        assert 0 < other["both"] <= found["count"]
    assert "earlier" not in related
    assert "later" not in content.feature("resid_post.1", 5)["related"]
    duplicates = found["groups"]["duplicates"]
    assert [(unit["family"], unit["unit"]) for unit in duplicates["units"]] == [("resid_post.1", 5)]
    assert duplicates["total"] == 1
    assert content.feature("neurons.0", 5)["groups"]["kin"]["total"] == 0


def test_labels_made_later_stand_where_they_hold(model: Model, tmp_path: Path) -> None:
    folder = write_scan(tmp_path / "scan", model)
    good, poor = (Estimate(value=v, low=v - 0.1, high=v + 0.1, n=100) for v in (0.9, 0.55))
    judged = [
        Judged("resid_post.0", 3, "zebras\u202e <b>", Score(good, 0), Score(poor, 2)),
        Judged("resid_post.0", 4, "no better than chance", Score(poor, 0)),
        Judged("resid_post.0", 5, None),
    ]
    stage = Stage(folder, "labels_my_chat", 1, {})
    stage.run(lambda work: write_judged(judged, work.results / "labels.parquet"))
    content, before = (
        Content(open_search(folder)),
        Content(open_search(write_scan(tmp_path / "b", model))),
    )
    held = content.feature("resid_post.0", 3)
    assert held["label"] == "zebras‹U+202E› <b>"
    assert (held["labeller"], held["score"]) == ("my chat", 0.9)
    assert held["rule"]["label"] == before.feature("resid_post.0", 3)["label"]
    (made,) = held["labels"]
    assert made["stands"]
    assert made["detection"] == {"value": 0.9, "low": 0.8, "high": 1.0, "n": 100}
    assert made["fuzzing"]["value"] == 0.55
    for unit, label in ((4, "no better than chance"), (5, None)):
        found = content.feature("resid_post.0", unit)
        assert found["label"] == before.feature("resid_post.0", unit)["label"]
        assert found["labeller"] is None
        assert [(each["label"], each["stands"]) for each in found["labels"]] == [(label, False)]
    number = content.search.catalogue.number("resid_post.0", 3)
    assert [hit for hit, _ in content.search.rank_words("zebra", 10)] == [number]


def test_the_best_neuron_stands_beside_the_feature_of_a_known_concept(content: Content) -> None:
    concept = content.feature("resid_post.1", 3)["concepts"][0]
    assert concept["name"] == "city in Texas"
    assert concept["neuron"] == {"group": "neurons.0", "index": 1, "f1": 0.42}


def test_units_that_do_not_exist_are_refused(content: Content) -> None:
    for family, unit in (("resid_post.1", 16), ("resid_post.9", 0), ("../text", 0)):
        with pytest.raises(TomogramError, match="no unit"):
            content.feature(family, unit)


def test_all_features_of_a_family_are_the_same_as_one_by_one(content: Content) -> None:
    assert list(content.features("resid_post.0")) == [
        content.feature("resid_post.0", unit) for unit in range(16)
    ]


def test_the_map_holds_every_unit_that_fires_inside_its_frame(content: Content) -> None:
    found = content.map()
    assert {f["family"]: len(f["units"]) for f in found["families"]} == {
        "resid_post.0": 15,
        "resid_post.1": 15,
    }
    for family in found["families"]:
        places = np.array([family["x"], family["y"]])
        assert places.min() >= 0
        assert places.max() <= found["extent"]


def test_the_map_is_drawn_once_and_again_for_other_dictionaries(
    model: Model, tmp_path: Path, monkeypatch
) -> None:
    folder = write_scan(tmp_path / "scan", model)
    first = Content(open_search(folder)).map()
    monkeypatch.setattr("tomogram.viewer.map.project", lambda rows: pytest.fail("drawn again"))
    assert Content(open_search(folder)).map() == first
    path = next((folder / "dictionaries").rglob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-4] + b"\x00\x00\x00\x01")
    with pytest.raises(pytest.fail.Exception, match="drawn again"):
        Content(open_search(folder)).map()


def test_without_dictionaries_everything_but_the_map_is_there(model: Model, tmp_path: Path) -> None:
    import shutil

    folder = write_scan(tmp_path / "scan", model)
    shutil.rmtree(folder / "dictionaries")
    content = Content(open_search(folder))
    assert content.feature("resid_post.0", 0)["related"]["resembles"]
    assert content.map()["why"]
    json.dumps(content.about(live="", ways=()), allow_nan=False)


def test_a_scan_of_the_first_version_has_no_relations(model: Model, tmp_path: Path) -> None:
    folder = write_scan(tmp_path / "scan", model)
    (folder / "features" / "related.parquet").unlink()
    found = Content(open_search(folder)).feature("resid_post.0", 0)
    assert found["related"] == {}
    assert found["groups"]["kin"] == {"units": [], "total": 0}


def test_dictionaries_of_another_scan_are_refused(model: Model, tmp_path: Path) -> None:
    from tomogram.dictionaries.formats import own
    from tomogram.dictionaries.shape import autoencoder
    from tomogram.dictionaries.topk import TopK
    from tomogram.models.sites import Site

    folder = write_scan(tmp_path / "scan", model)
    other = TopK(autoencoder(Site("resid_post", 0), model.d_model), 12, k=4)
    own.save(other, folder / "dictionaries", model="tiny", context=32)
    with pytest.raises(TomogramError, match="not of one scan"):
        Content(open_search(folder)).map()


def test_hostile_tokens_leave_as_inert_text(model: Model, tmp_path: Path) -> None:
    words = [text for text in HOSTILE if "\ud800" not in text]
    spelling = (words * 3)[:24]
    content = Content(open_search(write_scan(tmp_path / "scan", model, spelling=spelling)))
    data = json.dumps(
        [
            content.vocabulary(),
            list(content.searched()),
            [content.feature("resid_post.0", unit) for unit in range(16)],
        ],
        ensure_ascii=False,
    )
    assert len(data) < 400_000
    assert not any(character in data for character in "\u202e\u202c\x00\x07\x1b")
    assert content.vocabulary()[5] == inert(words[5])


def test_a_newer_schema_is_refused_with_what_to_do(scan: Path, tmp_path: Path) -> None:
    (tmp_path / "tomogram.json").write_text('{"schema_version": 99}')
    with pytest.raises(TomogramError, match="newer"):
        open_tomogram(tmp_path)


def test_findings_are_told_as_they_are_now(
    content: Content, scan: Path, tmp_path: Path, model: Model
) -> None:
    found = content.findings()
    assert [group["kind"] for group in found["groups"]] == [
        "finding",
        "suspicion",
        "no finding",
        "reported",
        "abstained",
    ]
    (power,) = found["groups"][0]["audits"]
    assert power["site"] == "mlp_out.5"
    assert ["actions · seize the servers", "5.25"] in power["evidence"]
    (secrets,) = found["groups"][2]["audits"]
    assert "powerful" not in secrets["told"]
    for hostile in HOSTILE[:-1]:
        if "\ud800" not in hostile:
            write_findings(tmp_path / "scan", model.digest, hostile)
    other = write_scan(tmp_path / "scan", model)
    assert Content(open_search(other)).findings()["groups"]
    (other / "findings.json").unlink()
    again = Content(open_search(other)).findings()
    assert again["groups"] == []
    assert "nothing is known" in again["summary"]


def test_a_scan_that_was_given_its_dictionaries_has_a_map_where_they_are_named(
    model: Model, tmp_path: Path, monkeypatch
) -> None:
    folder = write_scan(tmp_path / "scan", model)
    drawn = Content(open_search(folder)).map()
    shutil.rmtree(folder / "map")
    given = own.read((folder / "dictionaries").rename(tmp_path / "given"))
    without = Content(open_search(folder)).map()
    assert without["families"] == []
    assert "--dictionaries" in without["why"]
    # Random ones are of no model's activations, so they are not measured here.
    monkeypatch.setattr("tomogram.pipeline.searching.scanned_dictionaries", lambda *_: given)
    named = open_search(folder, model, dictionaries=str(tmp_path / "given"))
    assert Content(named).map() == drawn
