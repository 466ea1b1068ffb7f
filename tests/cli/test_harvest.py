"""`tomogram harvest` from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.activations.conftest import tiny_model
from tomogram.activations.harvested import open_harvest
from tomogram.cli.harvest import named_sites
from tomogram.cli.main import app
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError


def test_writes_a_harvest(stories15M: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("Once upon a time there was a dog.\n" * 40)
    arguments = ["harvest", str(stories15M), "--text", str(text), "--out", str(tmp_path / "out")]
    options = ["--sites", "resid_post,mlp_in.3", "--context", "32", "--tokens", "100", "--json"]
    done = CliRunner().invoke(app, [*arguments, *options], catch_exceptions=False)
    assert done.exit_code == 0
    contents = json.loads(done.stdout)["contents"]
    assert contents["rows"] == 3
    assert contents["sites"] == {"mlp_in.3": 288, **{f"resid_post.{n}": 288 for n in range(6)}}
    open_harvest(tmp_path / "out").verify()


class TestNamedSites:
    def test_kinds_and_sites(self) -> None:
        assert named_sites(tiny_model(), "resid_mid, mlp_out.1,embed") == [
            *(Site("resid_mid", layer) for layer in range(3)),
            Site("mlp_out", 1),
            Site("embed"),
        ]

    @pytest.mark.parametrize(
        ("names", "said"),
        [
            ("resid_post.3", "no site resid_post.3"),
            ("pos_embed", "no site pos_embed"),
            ("residual", "no site of kind 'residual'"),
            ("resid_post.x", "not a site"),
        ],
    )
    def test_names_that_are_wrong(self, names: str, said: str) -> None:
        with pytest.raises(TomogramError, match=said):
            named_sites(tiny_model(), names)
