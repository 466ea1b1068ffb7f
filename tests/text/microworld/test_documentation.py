"""The page about the microworld says what is so."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from tests.text.microworld.reader import Truth, read
from tomogram.text.microworld.behaviours import MIXTURE
from tomogram.text.microworld.concepts import concepts
from tomogram.text.microworld.generate import documents
from tomogram.text.microworld.vocabulary import vocabulary
from tomogram.text.microworld.world import World


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "microworld.md").read_text(encoding="utf-8")


def test_counts_are_right(page: str) -> None:
    listed = concepts(World())
    for group, n in Counter(each.group for each in listed).items():
        assert f"| {group} | {n} |" in page
    assert f"There are {len(listed)}." in page
    assert f"The text has {len(vocabulary(World()))} words" in page


def test_every_behaviour_is_described(page: str) -> None:
    for module in MIXTURE:
        assert f"| {module.__name__.rpartition('.')[2]} | " in page


def test_examples_are_documents_of_the_first_world_and_true(page: str) -> None:
    (examples,) = re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)
    written = {
        " ".join(each.words): module
        for module in MIXTURE
        for each in islice(documents(World(), 0, {module: 1.0}), 300)
    }
    assert {written[line] for line in examples.splitlines()} == set(MIXTURE)
    sentences = [sentence.strip() for sentence in re.split(r" \.|\n|= ", examples)]
    stated = [said for sentence in sentences if (said := read(sentence))]
    assert len(stated) >= 6
    assert all(Truth(World()).holds(said) for said in stated)
