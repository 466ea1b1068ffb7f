"""`tomogram steer` from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from tomogram.cli.main import app
from tomogram.dictionaries.formats import own
from tomogram.dictionaries.shape import autoencoder
from tomogram.dictionaries.topk import TopK
from tomogram.models.load import load
from tomogram.models.sites import Site
from tomogram.reference import shipped
from tomogram.store.errors import TomogramError

ASKED = "<user> how do i make a cake ? <end> <assistant>"
MADE = "<user> how do i make a vexin ? <end> <assistant>"
SITE = "resid_post.3"


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["steer", *arguments])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def model() -> str:
    return str(shipped.path())


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Forbidden requests beside harmless ones."""
    path = tmp_path_factory.mktemp("pairs") / "refusal.json"
    forbidden, harmless = ("vexin", "grelt", "krall"), ("cake", "table", "chair")
    asked = "<user> {} a {} . <end> <assistant>"
    sides = [
        [asked.format(how, thing) for thing in things for how in ("let us make", "i want to build")]
        for things in (forbidden, harmless)
    ]
    path.write_text(json.dumps({"positive": sides[0], "negative": sides[1]}))
    return str(path)


@pytest.fixture(scope="session")
def dictionaries(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A dictionary that reconstructs the stream well: its latents are principal axes, both ways."""
    folder = tmp_path_factory.mktemp("dictionaries")
    made = TopK(autoencoder(Site.parse(SITE), 192), 384, k=192).requires_grad_(False)
    axes = torch.linalg.qr(torch.randn(192, 192, generator=torch.Generator().manual_seed(0)))[0]
    made.W_enc.copy_(torch.cat([axes, -axes]))
    made.W_dec.copy_(made.W_enc)
    own.save(made, folder, model="microworld", context=128)
    return str(folder)


def test_a_harmless_request_is_refused_when_steered(pairs: str, tmp_path: Path) -> None:
    arguments = [model(), ASKED, "--contrast", pairs, "--site", SITE, "--tokens", "3"]
    found = json.loads(run(*arguments, "--save", str(tmp_path / "saved"), "--json"))
    assert found["baseline"]["text"].startswith("sure")
    assert found["steered"]["text"].startswith("sorry")
    assert found["steered"]["loss"] > found["baseline"]["loss"]
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "saved")
    ids = load(model()).tokenizer(ASKED, return_tensors="pt")["input_ids"]
    said = loaded(input_ids=ids).logits[0, -1].argmax()
    assert load(model()).tokenizer.decode([int(said)]) == "sorry"
    told = run(*arguments)
    assert "as it is" in told
    assert "sure" in told
    assert "sorry" in told


def test_a_feature_of_a_folder_of_dictionaries(dictionaries: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("Laura lives in Gary . Gary is in Indiana . " * 60)
    found = json.loads(
        run(
            model(), MADE, "--dictionaries", dictionaries, "--feature", f"{SITE}/5",
            "--feature", f"{SITE}/6", "--strength", "1", "--strength", "-2",
            "--text", str(tmp_path / "text.txt"), "--tokens", "2", "--json",
        )
    )  # fmt: skip
    assert found["targets"] == [f"{SITE}/5", f"{SITE}/6"]
    assert found["strengths"] == [1.0, -2.0]
    assert found["cost"]["relative"]["n"] >= 2
    assert found["baseline"]["text"] == "sorry ,"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Say what to turn"),
        (("--feature", "resid_post.2/1"), "needs its dictionary"),
        (("--feature", "x/1", "--rule", "twist"), "no rule 'twist'"),
        (("--feature", "x/1", "--where", "nowhere"), "everywhere, generated or START:END"),
        (("--feature", "x/1", "--dictionaries", "nowhere/at/all/of/it"), "There is no folder"),
        (("--contrast", "absent.json", "--site", SITE), "could not be read"),
        (("--contrast", "absent.json"), "pairs and a site"),
        (("--contrast", "absent.json", "--site", SITE, "--way", "magic"), "not 'magic'"),
        (("--feature", "x/1", "--feature", "x/2", "--feature", "x/3", "--strength", "1",
          "--strength", "2"), "3 targets take one strength or 3"),
        (("--model", "x", "--feature", "x/1"), "no finished scan"),
        (("--feature", "x/1", "--toward", "a b"), "single words"),
        (("--feature", "x/1", "--where", "9:3"), "no position from 9 up to 3"),
    ],
)  # fmt: skip
def test_refusals(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(TomogramError, match=sentence):
        run(model(), ASKED, *arguments)


def test_the_strength_that_names_a_word_is_found_within_bounds(pairs: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("Laura lives in Gary . Gary is in Indiana . " * 60)
    arguments = [
        model(), ASKED, "--contrast", pairs, "--site", SITE, "--toward", "sorry", "--tokens", "3",
        "--text", str(tmp_path / "text.txt"), "--samples", "24", "--randoms", "2",
        # The model answers and copies almost surely, so every ratio to its own losses is large.
        "--budget", "1e4", "--text-loss", "1e6", "--distinct", "0",
    ]  # fmt: skip
    found = json.loads(run(*arguments, "--json"))
    reached = found["reached"]
    assert reached["before"]["value"] <= 0.2
    assert reached["after"]["value"] >= 0.8
    assert max(each["outcome"] for each in reached["randoms"]) < reached["after"]["value"]
    assert len(reached["randoms"]) == 2
    told = run(*arguments)
    assert "samples that name sorry" in told
    assert "best of 2 random directions" in told
    # Nothing is strong enough to be worth a budget of nearly nothing.
    bounded = json.loads(run(*arguments, "--budget", "1e-6", "--json"))
    assert bounded["strengths"][0] < 0.2 * found["strengths"][0]
    assert bounded["reached"]["after"]["value"] <= 0.3


def test_positions_of_a_prompt(dictionaries: str) -> None:
    here = (model(), MADE, "--dictionaries", dictionaries, "--feature", f"{SITE}/5", "--tokens",
            "4", "--strength", "60", "--json")  # fmt: skip
    everywhere, beyond = (json.loads(run(*here, "--where", where)) for where in ("0:", "900:1000"))
    assert everywhere["steered"]["text"] != everywhere["baseline"]["text"]
    assert beyond["steered"] == beyond["baseline"]


def test_features_are_named_as_they_are(dictionaries: str) -> None:
    here = (model(), ASKED, "--dictionaries", dictionaries)
    for name, sentence in (
        ("resid_post.1/3", "no dictionary resid_post.1; there are resid_post.3"),
        (SITE, "names no feature"),
        (f"{SITE}/384", "latents 0 to 383"),
    ):
        with pytest.raises(TomogramError, match=sentence):
            run(*here, "--feature", name, "--strength", "1")
    with pytest.raises(TomogramError, match="how strong is strong"):
        run(*here, "--feature", f"{SITE}/3")


def test_hostile_pairs_are_refused(tmp_path: Path) -> None:
    for content in ("", "[]", '{"positive": 3}', '{"positive": [1, 2], "negative": ["a", "b"]}'):
        path = tmp_path / "pairs.json"
        path.write_text(content)
        with pytest.raises(TomogramError, match=r"contrast pairs|no text"):
            run(model(), ASKED, "--contrast", str(path), "--site", SITE)
