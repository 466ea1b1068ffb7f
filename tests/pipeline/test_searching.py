from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tomogram.features.tables import FEATURES
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.pipeline.labelling import Wanted, labelling, labels_of
from tomogram.pipeline.searching import Search, open_search
from tomogram.reference import path as shipped
from tomogram.store.errors import TomogramError


@pytest.fixture(scope="module")
def scanned_of(tiny_model: Path) -> Model:
    return load(tiny_model)


@pytest.fixture(scope="module")
def folder(tiny_scan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A copy of its own, under a name that a glob or a quoted path would stumble over.
    return Path(shutil.copytree(tiny_scan, tmp_path_factory.mktemp("it's [a] scan") / "tiny"))


@pytest.fixture(scope="module")
def search(folder: Path, scanned_of: Model) -> Search:
    return open_search(folder, scanned_of)


def live_word(search: Search) -> tuple[str, str, int]:
    """A word that few labels name, and a feature whose label names it."""
    rows = search.tomogram.features.query(
        "SELECT family, unit, label_marks FROM features WHERE label_kind = 'current'"
        " AND kind = 'latent' ORDER BY family, unit"
    )
    named: dict[str, list[tuple[str, int]]] = {}
    for row in rows:
        for (token,) in row["label_marks"]:
            word = search.tomogram.spelling[token].strip()
            if word.isalpha():
                named.setdefault(word, []).append((row["family"], row["unit"]))
    word = min(named, key=lambda each: (len(named[each]), each))
    return word, *named[word][0]


def test_a_feature_is_found_by_a_word_of_its_label(search: Search) -> None:
    word, family, unit = live_word(search)
    found = search.by_words(word, limit=100, grouped=False)
    assert (family, unit) in [(hit.family, hit.unit) for hit in found]
    assert (search.tomogram.folder / "search" / "words.sqlite").is_file()
    assert all(hit.label is None or isinstance(hit.label, str) for hit in found)


def test_the_index_is_made_once_and_is_the_same_every_time(
    search: Search, folder: Path, scanned_of: Model
) -> None:
    search.by_words("the")
    path = folder / "search" / "words.sqlite"
    first, made = path.read_bytes(), path.stat().st_mtime_ns
    open_search(folder, scanned_of).by_words("the")
    assert path.stat().st_mtime_ns == made
    path.unlink()
    open_search(folder, scanned_of).by_words("the")
    assert path.read_bytes() == first


def test_examples_find_what_fires_in_all_of_them(search: Search) -> None:
    word, _, _ = live_word(search)
    sentences = [f"{word} .", f". {word}", f"and {word} and"]
    hits = search.by_examples(sentences, limit=3)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    reading = search.in_prompt(sentences[0])
    fires = {(each.family, each.unit) for each in reading.firings}
    assert (hits[0].family, hits[0].unit) in fires


def test_prompts_and_promotions(search: Search) -> None:
    reading = search.in_prompt("what is 2 plus 3 ?", "5")
    assert search.tomogram.spelling[reading.target].strip() == "5"
    assert 0 < reading.probability < 1
    for hit in search.by_promoted("5", limit=5, grouped=False):
        row = search.tomogram.features.unit(hit.family, hit.unit)
        assert reading.target in row["promoted"]
    for hit in search.by_promoted("5", limit=5, suppressing=True, grouped=False):
        row = search.tomogram.features.unit(hit.family, hit.unit)
        assert reading.target in row["suppressed"]
    with pytest.raises(TomogramError, match="No single token"):
        search.by_promoted("antidisestablishment")
    with pytest.raises(TomogramError, match="tokens of the model"):
        search.in_prompt("what", "2 plus")


def test_what_is_like_a_feature(search: Search) -> None:
    row = search.tomogram.features.query("SELECT * FROM related WHERE relation = 'cofires' LIMIT 1")
    hits = search.like(row[0]["family"], row[0]["unit"])
    assert hits[0].score == pytest.approx(row[0]["score"])
    with pytest.raises(TomogramError, match="no unit"):
        search.like("nowhere", 0)


def test_without_an_encoder_there_is_no_meaning(search: Search) -> None:
    with pytest.raises(TomogramError, match="sentence encoder"):
        search.by_meaning("animals")


def test_another_model_is_refused(folder: Path) -> None:
    with pytest.raises(TomogramError, match="not the model of this tomogram"):
        open_search(folder, shipped()).in_prompt("what is")
    # A scan does not say where its model is, and no model can be had by its name.
    with pytest.raises(TomogramError, match="name it with --model MODEL"):
        open_search(folder).in_prompt("what is")


def test_rankings_are_what_hits_are_made_of(search: Search) -> None:
    word, _, _ = live_word(search)
    number = search.catalogue.number
    for ranking, hits in (
        (search.rank_words(word, 20), search.by_words(word, limit=20, grouped=False)),
        (search.rank_promoting("5", 20), search.by_promoted("5", limit=20, grouped=False)),
        (search.rank_examples([word], 20), search.by_examples([word], limit=20, grouped=False)),
    ):
        own = [(number(hit.family, hit.unit), hit.score) for hit in hits]
        assert ranking
        assert ranking == own[: len(ranking)]


def test_threads_may_search_at_once(search: Search) -> None:
    word, _, _ = live_word(search)
    expected = search.by_words(word), search.by_promoted("5")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(search.by_words, word) for _ in range(20)]
        asked += [pool.submit(search.by_promoted, "5") for _ in range(20)]
        found = [each.result() for each in asked]
    assert found == [expected[0]] * 20 + [expected[1]] * 20


def test_rules_label_without_a_model(folder: Path, search: Search) -> None:
    work = labelling(search.tomogram, wanted=Wanted(units=30, seed=4))
    assert work.estimate().requests == 0
    path = work.run()
    found = labels_of(path)
    assert len(found) == 30
    for each in found:
        assert each.label == search.tomogram.features.unit(each.family, each.unit)["label"]
    with pytest.raises(TomogramError, match="no feature that fires in 'nowhere'"):
        labelling(search.tomogram, wanted=Wanted(family="nowhere"))


@pytest.mark.parametrize("name", ["features", "exemplars", "related"])
def test_truncated_and_newer_tables_are_refused(
    folder: Path, scanned_of: Model, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = copy / "features" / f"{name}.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TomogramError, match="damaged"):
        open_search(copy, scanned_of).by_words("the")
    newer = FEATURES.with_metadata({"tomogram.features": "99"})
    pq.write_table(newer.empty_table(), path)
    with pytest.raises(TomogramError, match="newer than this version reads"):
        open_search(copy, scanned_of).by_words("the")
