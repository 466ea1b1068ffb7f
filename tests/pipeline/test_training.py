"""Training dictionaries by itself: what is ordered is trained, saved, resumed, or refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import tomogram
from tests.activations.conftest import tiny_model, tiny_text
from tomogram.dictionaries.formats import load as formats
from tomogram.dictionaries.paired import second_share
from tomogram.pipeline.training import KINDS, Order, ordered, train
from tomogram.store.errors import TomogramError

SMALL = Order(places=("resid_post.1",), latents=32, k=4, batch_tokens=128, buffer_tokens=1_024)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_trained_and_saved_for_others_to_read(kind: str, tmp_path: Path) -> None:
    model, text = tiny_model(), tiny_text(rows=256)
    order = replace(SMALL, kind=kind, epochs=4)
    (made,) = train(model, text, tmp_path, order).dictionaries
    assert made.name == "resid_post.1"
    assert made.d_dict == 32
    metrics = [
        json.loads(line)
        for line in (tmp_path / "dictionaries" / "metrics.jsonl").read_text().splitlines()
    ]
    assert len(metrics) == 4 * text.n_tokens // 128
    fvu = [line["fvu"]["resid_post.1"] for line in metrics]
    assert sum(fvu[-8:]) < sum(fvu[:8])
    # Measured on the model's own activations, the files mean what was trained.
    (loaded,) = formats.load(tmp_path / "dictionaries", model, text)
    x = torch.randn(5, 16)
    torch.testing.assert_close(loaded(x), made(x), atol=1e-5, rtol=1e-5)


def test_places_are_sites_kinds_and_transcoders() -> None:
    model = tiny_model()
    order = replace(SMALL, places=("resid_post", "mlp_out.0", "transcoder.2", "neurons.1"))
    found = ordered(model, order)
    assert [d.name for d in found] == [
        *("resid_post.0", "resid_post.1", "resid_post.2"),
        *("mlp_out.0", "mlp_in.2-mlp_out.2", "neurons.1"),
    ]
    assert [d.d_in for d in found] == [16, 16, 16, 16, 16, 24]
    assert {d.d_dict for d in ordered(model, replace(order, latents=None))} == {128, 192}


def test_transcoders_are_saved_and_read_back(tmp_path: Path) -> None:
    order = replace(SMALL, places=("transcoder",))
    made = train(tiny_model(), tiny_text(rows=64), tmp_path, order).dictionaries
    assert sorted(d.name for d in made) == [f"mlp_in.{n}-mlp_out.{n}" for n in range(3)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "tok"}, "no kind 'tok'"),
        ({"places": ()}, "Say at which sites"),
        ({"k": 0}, "k must be 1 or more"),
        ({"places": ("resid_post.7",)}, "no site resid_post.7"),
        ({"places": ("transcoder.9",)}, "no site mlp_in.9"),
        ({"places": ("pattern.0",)}, "not one vector"),
        ({"places": ("cross_layer_transcoder",), "kind": "gated"}, "is of kind topk or jumprelu"),
        ({"k": (4, 4)}, "are alike"),
        ({"k": ()}, "Say which kinds"),
        ({"latents": (32, 0)}, "latents must be 1 or more"),
        ({"k": 64}, "between 1 and the 32 latents"),
    ],
)
def test_what_cannot_be_trained_is_refused(change: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match=said):
        train(tiny_model(), tiny_text(rows=64), tmp_path / "out", replace(SMALL, **change))
    assert not (tmp_path / "out").exists()


def test_what_is_done_is_not_done_again_and_another_order_is(tmp_path: Path) -> None:
    model, text = tiny_model(), tiny_text(rows=64)
    train(model, text, tmp_path, SMALL)
    weights = tmp_path / "dictionaries" / "resid_post.1" / "sae_weights.safetensors"
    before = weights.stat().st_mtime_ns, weights.read_bytes()
    train(model, text, tmp_path, SMALL)
    assert (weights.stat().st_mtime_ns, weights.read_bytes()) == before
    train(model, text, tmp_path, replace(SMALL, seed=1))
    assert weights.read_bytes() != before[1]


def test_killed_it_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.pipeline.test_training import run;"
        "run(Path(sys.argv[1]))"
    )

    def begin(out: Path) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", code, str(out)])

    assert begin(tmp_path / "whole").wait() == 0
    process = begin(tmp_path / "killed")
    checkpoint = (
        tmp_path / "killed" / ".dictionaries.partial" / "checkpoints" / "checkpoint.safetensors"
    )
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert begin(tmp_path / "killed").wait() == 0
    name = "dictionaries/resid_post.1/sae_weights.safetensors"
    assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def run(out: Path) -> None:
    """What the processes above do."""
    torch.set_num_threads(1)
    train(tiny_model(), tiny_text(rows=256), out, replace(SMALL, epochs=50))


def test_from_a_model_and_a_text_by_their_paths(stories15M: Path, tmp_path: Path) -> None:
    story = tmp_path / "text.txt"
    story.write_text("Once upon a time there was a dog. He had a red ball.\n" * 60)
    order = tomogram.Order(places=("resid_post.0",), latents=48, k=4, batch_tokens=64)
    made = tomogram.train(stories15M, story, tmp_path / "out", order, tokens=512, context=64)
    assert made.tokens == 512
    assert [d.name for d in made.dictionaries] == ["resid_post.0"]
    assert (made.folder / "resid_post.0" / "cfg.json").is_file()


def test_an_order_that_cannot_be_is_refused_before_the_text_is_read(tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match="no site"):
        train(tiny_model(), tmp_path / "missing.txt", tmp_path, Order(places=("resid_post.9",)))


def test_several_kinds_sizes_and_k_are_trained_in_one_pass(tmp_path: Path) -> None:
    order = replace(SMALL, kind=("topk", "relu"), latents=(24, 48), k=(2, 4))
    made = train(tiny_model(), tiny_text(rows=64), tmp_path, order)
    assert sorted((d.kind, d.d_dict, getattr(d, "k", None)) for d in made.dictionaries) == sorted(
        [("topk", n, k) for n in (24, 48) for k in (2, 4)] + [("relu", n, None) for n in (24, 48)],
        key=str,
    )
    lines = (tmp_path / "dictionaries" / "metrics.jsonl").read_text().splitlines()
    assert set(json.loads(lines[0])["fvu"]) == {
        *(f"resid_post.1-topk-{n}-k{k}" for n in (24, 48) for k in (2, 4)),
        *(f"resid_post.1-relu-{n}-sparsity0_03" for n in (24, 48)),
    }
    assert not (tmp_path / ".dictionaries.partial").exists()


@pytest.mark.parametrize(
    ("place", "kind", "reads", "latents"),
    [
        ("skip_transcoder.1", "topk", 1, 32),
        ("skip_transcoder.1", "gated", 1, 32),
        ("transcoder.1", "jumprelu", 1, 32),
        ("crosscoder", "batch_topk", 3, 32),
        ("cross_layer_transcoder", "topk", 3, 96),
        ("cross_layer_transcoder", "jumprelu", 3, 96),
    ],
)
def test_every_shape_is_trained_and_read_back(
    place: str, kind: str, reads: int, latents: int, tmp_path: Path
) -> None:
    model, text = tiny_model(), tiny_text(rows=128)
    order = replace(SMALL, places=(place,), kind=kind, epochs=8)
    (made,) = train(model, text, tmp_path, order).dictionaries
    assert (len(made.shape.reads), made.d_dict, made.shape.skip) == (
        reads,
        latents,
        place.startswith("skip"),
    )
    lines = (tmp_path / "dictionaries" / "metrics.jsonl").read_text().splitlines()
    ((name, first),) = json.loads(lines[0])["fvu"].items()
    assert json.loads(lines[-1])["fvu"][name] < first
    (loaded,) = formats.load(tmp_path / "dictionaries", model, text)
    x = torch.randn(5, made.d_in)
    torch.testing.assert_close(loaded(x), made(x), atol=1e-5, rtol=1e-5)


def test_over_two_models_what_one_has_alone_is_told(tmp_path: Path) -> None:
    model, text = tiny_model(), tiny_text(rows=256)
    order = replace(SMALL, latents=64, epochs=8)
    (made,) = train(model, text, tmp_path, order, second=tiny_model(seed=1)).dictionaries
    assert (made.name, made.d_in) == ("resid_post.1-of_2_models", 32)
    assert made.shape.models == 2
    # A model beside itself has nothing of its own.
    (same,) = train(model, text, tmp_path / "same", order, second=model).dictionaries
    apart, alike = (second_share(each).sub(0.5).abs().mean() for each in (made, same))
    assert apart > 4 * alike


def test_two_models_must_fit(tmp_path: Path) -> None:
    model, text = tiny_model(), tiny_text(rows=64)
    with pytest.raises(TomogramError, match="reads one site"):
        train(model, text, tmp_path, replace(SMALL, places=("transcoder.1",)), second=model)
