"""A whole scan, from a model to a report, on a model small enough for seconds."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import huggingface_hub
import pytest

import tomogram
from tomogram.models.load import load
from tomogram.pipeline.plan import Plan, chosen_layers, fitted, plan_named
from tomogram.pipeline.scan import scan
from tomogram.pipeline.session import Session
from tomogram.pipeline.stages.dictionaries import untrained
from tomogram.store.errors import TomogramError

STAGES = ["anatomy", "circuits", "concepts", "dictionaries", "features", "quality", "text"]


@pytest.fixture(scope="module")
def scanned(tiny_model: Path, tiny_plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished scan."""
    out = tmp_path_factory.mktemp("scans") / "whole"
    scan(tiny_model, out=out, plan=tiny_plan)
    return out


def test_a_scan_leaves_evidence_a_manifest_and_a_report(scanned: Path) -> None:
    left = sorted(path.name for path in scanned.iterdir())
    assert left == sorted([*STAGES, "report.html", "timings.json", "tomogram.json"])
    found = tomogram.open(scanned)
    manifest = found.manifest
    assert [d.name for d in manifest.dictionaries] == [
        "resid_post.0",
        "mlp_in.0-mlp_out.0",
        "resid_post.1",
        "mlp_in.1-mlp_out.1",
    ]
    assert all(0 < d.quality.l0 <= 8 for d in manifest.dictionaries)
    assert {s.family for s in manifest.coverage.spliced} == {"residual", "transcoders"}
    assert manifest.text.kind == "microworld"
    assert manifest.concepts is not None
    counted = found.features.query("SELECT family, count(*) AS n FROM features GROUP BY family")
    assert {row["family"]: row["n"] for row in counted} == {
        g.name: g.units for g in manifest.groups
    }
    assert "tiny" in found.report.read_text(encoding="utf-8")


def test_every_file_of_evidence_is_listed_with_its_digest(scanned: Path) -> None:
    from tomogram.store.digest import digest_file

    listed = tomogram.open(scanned).manifest.files
    there = {
        path.relative_to(scanned).as_posix()
        for stage in STAGES
        for path in (scanned / stage).rglob("*")
        if path.is_file() and path.name != "timing.json"
    }
    assert set(listed) == there
    assert all(digest_file(scanned / name) == digest for name, digest in listed.items())


def test_the_manifest_names_no_path(scanned: Path, tiny_model: Path) -> None:
    text = (scanned / "tomogram.json").read_text()
    assert str(scanned.parent) not in text
    assert str(tiny_model.parent) not in text


def test_unchanged_stages_are_not_run_again(
    scanned: Path, tiny_model: Path, tiny_plan: Plan
) -> None:
    before = {
        path: path.stat().st_mtime_ns for stage in STAGES for path in (scanned / stage).iterdir()
    }
    manifest = (scanned / "tomogram.json").read_bytes()
    scan(tiny_model, out=scanned, plan=tiny_plan)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (scanned / "tomogram.json").read_bytes() == manifest


def test_a_changed_setting_runs_only_what_depends_on_it(
    tiny_model: Path, tiny_plan: Plan, tmp_path: Path
) -> None:
    scan(tiny_model, out=tmp_path / "scan", plan=tiny_plan)
    digests = _digests(tmp_path / "scan")
    scan(tiny_model, out=tmp_path / "scan", plan=replace(tiny_plan, surveyed_tokens=3_000))
    after = _digests(tmp_path / "scan")
    assert {stage for stage in STAGES if digests[stage] != after[stage]} == {"features"}


def _digests(folder: Path) -> dict[str, str]:
    return {s: json.loads((folder / s / "stage.json").read_text())["digest"] for s in STAGES}


SCAN = """
import json, sys
from tomogram.pipeline.plan import Plan
from tomogram.pipeline.scan import scan
import torch
torch.set_num_threads(1)
scan(sys.argv[1], out=sys.argv[2], plan=Plan(**json.loads(sys.argv[3])))
"""


def test_killed_at_random_moments_it_resumes_to_the_same_bytes(
    tiny_model: Path, tiny_plan: Plan, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", SCAN, str(tiny_model)]
    plan = json.dumps(asdict(tiny_plan))
    start = time.monotonic()
    subprocess.run([*command, str(tmp_path / "whole"), plan], check=True)
    whole = time.monotonic() - start
    moments = random.Random(0)
    kills = 0
    for _ in range(3):
        process = subprocess.Popen([*command, str(tmp_path / "killed"), plan])
        try:
            # Not late: what is left to do gets shorter, and so may the time it takes.
            process.wait(moments.uniform(0.1, 0.6) * whole)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    subprocess.run([*command, str(tmp_path / "killed"), plan], check=True)
    assert kills > 0
    whole_bytes = (tmp_path / "whole" / "tomogram.json").read_bytes()
    assert (tmp_path / "killed" / "tomogram.json").read_bytes() == whole_bytes
    assert not list((tmp_path / "killed").glob(".*"))


def test_existing_dictionaries_are_used_instead_of_training(
    scanned: Path, tiny_model: Path, tiny_plan: Plan, tmp_path: Path
) -> None:
    source = scanned / "dictionaries"
    found = scan(tiny_model, out=tmp_path / "scan", plan=tiny_plan, dictionaries=source)
    assert not (tmp_path / "scan" / "dictionaries").exists()
    before = tomogram.open(scanned).manifest.dictionaries
    for ours, theirs in zip(found.manifest.dictionaries, before, strict=True):
        assert (ours.name, ours.trained_tokens, ours.source) == (theirs.name, 0, "dictionaries")
        assert ours.quality.fvu == pytest.approx(theirs.quality.fvu, rel=1e-4)


def test_dictionaries_come_from_the_hub_by_name(
    scanned: Path,
    tiny_model: Path,
    tiny_plan: Plan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A cache as the Hub's client leaves it: the files of a snapshot are links.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    repository, commit = tmp_path / "hub" / "models--someone--some", "0" * 40
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = repository / "snapshots" / commit / "part" / "resid_post.1"
    snapshot.mkdir(parents=True)
    for file in (scanned / "dictionaries" / "resid_post.1").iterdir():
        (snapshot / file.name).symlink_to(file)
    found = scan(
        tiny_model, out=tmp_path / "scan", plan=tiny_plan, dictionaries="someone/some/part"
    )
    (record,) = found.manifest.dictionaries
    assert (record.name, record.trained_tokens) == ("resid_post.1", 0)
    assert record.source == "someone/some/part"


def test_without_a_text_the_model_writes_one(tiny_model: Path, tiny_plan: Plan) -> None:
    from tomogram.models.load import load
    from tomogram.pipeline.session import Session
    from tomogram.pipeline.stages import text

    session = Session(load(tiny_model), tiny_plan, Path("unused"), 0, None)
    assert text.kind(session, None) == "sampled"
    with pytest.raises(TomogramError, match="not a model of the microworld"):
        text.kind(session, "microworld")


def test_a_given_text_is_read(tiny_model: Path, tiny_plan: Plan, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("\n<|endoftext|>\n".join(["Dallas is in Texas ."] * 3_000))
    found = scan(tiny_model, text=file, out=tmp_path / "scan", plan=tiny_plan)
    assert (found.manifest.text.kind, found.manifest.text.name) == ("file", "text.txt")
    assert found.manifest.concepts is None
    assert any("known concepts" in missing.what for missing in found.manifest.not_measured)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.txt", b""),
        ("spaces.txt", b" \n \n"),
        ("latin.txt", "caf\xe9 ".encode("latin-1") * 50),
        ("broken.parquet", b"PAR1nothing"),
    ],
)
def test_a_bad_text_leaves_nothing_behind(
    tiny_model: Path, tiny_plan: Plan, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TomogramError):
        scan(tiny_model, text=tmp_path / name, out=tmp_path / "scan", plan=tiny_plan)
    assert not (tmp_path / "scan").exists()


def test_a_missing_text_or_model_leaves_nothing_behind(
    tiny_model: Path, tiny_plan: Plan, tmp_path: Path
) -> None:
    with pytest.raises(TomogramError, match="no text"):
        scan(tiny_model, text=tmp_path / "none.txt", out=tmp_path / "scan", plan=tiny_plan)
    with pytest.raises(TomogramError):
        scan(tmp_path / "none", out=tmp_path / "scan", plan=tiny_plan)
    assert not (tmp_path / "scan").exists()


def test_a_folder_of_other_things_is_refused(
    tiny_model: Path, tiny_plan: Plan, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(TomogramError, match="no tomogram"):
        scan(tiny_model, out=tmp_path, plan=tiny_plan)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(tiny_model: Path, tiny_plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TomogramError, match="is a file"):
        scan(tiny_model, out=tmp_path / "file", plan=tiny_plan)


def test_plans_fit_the_model() -> None:
    quick = plan_named("quick")
    assert chosen_layers(quick, 30) == (7, 14, 21, 29)
    assert chosen_layers(quick, 3) == (0, 1, 2)
    assert chosen_layers(plan_named("standard"), 6) == (0, 1, 2, 3, 4, 5)
    with pytest.raises(TomogramError, match="quick, standard, deep"):
        plan_named("slow")


def test_a_model_of_few_words_gets_a_sparser_code_and_a_dictionary_of_its_words(
    tiny_model: Path, tiny_plan: Plan, tmp_path: Path
) -> None:
    model = load(tiny_model)
    plan = fitted(replace(tiny_plan, k=32, context=4_096), model)
    assert (plan.k, plan.context) == (8, 1_024)
    names = {}
    for expansion in (2, 10):  # 192 and 960 latents for some 900 words
        session = Session(model, replace(plan, expansion=expansion), tmp_path, 0, None)
        names[expansion] = [dictionary.name for dictionary in untrained(session)]
    assert names[10] == ["resid_pre.0", *names[2]]
