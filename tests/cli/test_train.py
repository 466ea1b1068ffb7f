"""`tomogram train` from outside."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from tomogram.cli.main import app


def test_it_trains_and_says_what(stories15M: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("Once upon a time there was a dog. He had a red ball.\n" * 400)
    arguments = ["train", str(stories15M), "--text", str(text), "--out", str(tmp_path / "out")]
    options = "--at resid_post.2,transcoder.0 --latents 64 --k 8 --batch 512 --buffer 2048 --json"
    done = CliRunner().invoke(app, [*arguments, *options.split()], catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["tokens"] > 4_000
    assert sorted(d["name"] for d in found["dictionaries"]) == [
        "mlp_in.0-mlp_out.0",
        "resid_post.2",
    ]
    assert {(d["kind"], d["latents"], d["width"]) for d in found["dictionaries"]} == {
        ("topk", 64, 288)
    }
    assert (tmp_path / "out" / "dictionaries" / "layers.0.mlp" / "cfg.json").is_file()
