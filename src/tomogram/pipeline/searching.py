"""Searching a tomogram: its tables, the indices made of them, and the model where one is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tomogram.dictionaries.dictionary import Dictionary
from tomogram.features.reading import read
from tomogram.features.search import words
from tomogram.features.search.catalogue import Catalogue, catalogue
from tomogram.features.search.entries import entries
from tomogram.features.search.examples import Background, evidence, ranked
from tomogram.features.search.hits import Hit, hits
from tomogram.features.search.meaning import SentenceEncoder, nearest
from tomogram.features.search.promotes import promoting, spelled
from tomogram.features.search.prompt import PromptReading, read_prompt
from tomogram.features.search.similar import Likeness, similar
from tomogram.features.search.words import Entry, WordIndex
from tomogram.models.model import Model
from tomogram.pipeline.derived import derived
from tomogram.pipeline.labels import best_labels
from tomogram.pipeline.scanned import scanned_dictionaries, scanned_model
from tomogram.report.tomogram import Tomogram, open_tomogram
from tomogram.store import progress
from tomogram.store.atomic import writing
from tomogram.store.digest import digest_file, digest_json
from tomogram.store.errors import TomogramError
from tomogram.text.packing import opening_token

WORDS_VERSION, MEANINGS_VERSION = 3, 2
LIMIT = 10
"""Hits a search gives, unless told otherwise."""
_SPARE = 16
"""Found for each hit asked for, so that enough stand when near-duplicates are put together."""

Ranking = list[tuple[int, float]]
"""Numbers of units in the catalogue with their scores, best first."""


@dataclass(frozen=True, eq=False)
class Search:
    """All the ways to find a feature of one tomogram.

    Every method raises TomogramError where what it needs is missing or damaged.
    """

    tomogram: Tomogram
    model_source: str | Path | Model | None = None
    """The model that was scanned; the shipped one when None. Only read where a text is given."""
    dictionaries_source: str | Path | None = None
    """Where the scan's dictionaries are, for one that brought its own."""
    encoder_source: str | Path | None = None
    """A sentence encoder, for search by meaning."""
    device: str = "cpu"
    dtype: str = "float32"

    def by_words(self, query: str, *, limit: int = LIMIT, grouped: bool = True) -> list[Hit]:
        """Full text over labels, the words features fire on, their context, and promoted tokens.

        `cap*` stands for the words that begin so.
        """
        return self._hits(self.rank_words(query, limit * _SPARE), limit, grouped)

    def by_meaning(self, query: str, *, limit: int = LIMIT, grouped: bool = True) -> list[Hit]:
        """Cosine of the query and each feature's label and words, under the sentence encoder."""
        return self._hits(self.rank_meanings(query, limit * _SPARE), limit, grouped)

    def by_examples(
        self, sentences: Sequence[str], *, limit: int = LIMIT, grouped: bool = True
    ) -> list[Hit]:
        """Features that some sentences have in common (`features.search.examples`)."""
        return self._hits(self.rank_examples(sentences, limit * _SPARE), limit, grouped)

    def by_token_examples(
        self, examples: Sequence[Sequence[int]], *, limit: int = LIMIT, grouped: bool = True
    ) -> list[Hit]:
        """The same of examples given as tokens."""
        found = ranked(self.example_scores(examples), limit * _SPARE)
        return self._hits(found, limit, grouped)

    def by_promoted(
        self, word: str, *, limit: int = LIMIT, suppressing: bool = False, grouped: bool = True
    ) -> list[Hit]:
        """Features that push a token up, or down, when they fire."""
        found = self.rank_promoting(word, limit * _SPARE, suppressing=suppressing)
        return self._hits(found, limit, grouped)

    def rank_words(self, query: str, limit: int) -> Ranking:
        """The ranking behind `by_words`; the other `rank_` methods are behind theirs."""
        return self._words.find(query, limit=limit)

    def rank_meanings(self, query: str, limit: int) -> Ranking:
        """Units by the cosine of their meaning with the query's."""
        vectors, numbers = self._vectors
        return nearest(vectors, numbers, self._encoder.encode([query])[0], limit)

    def rank_examples(self, sentences: Sequence[str], limit: int) -> Ranking:
        """Units by the evidence that sentences have them in common."""
        scores = self.example_scores([self.tokens(text) for text in sentences])
        return [(unit, score) for unit, score in ranked(scores, limit) if np.isfinite(score)]

    def rank_promoting(self, word: str, limit: int, *, suppressing: bool = False) -> Ranking:
        """Units by how much they push a token up, or down."""
        ids = spelled(word, self.tomogram.spelling)
        self.tomogram.features.hold("features")
        return promoting(
            self.tomogram.features, self.catalogue, ids, limit=limit, suppressing=suppressing
        )

    def example_scores(self, examples: Sequence[Sequence[int]]) -> np.ndarray:
        """Evidence of every unit for being what examples have in common, [units] of the catalogue;
        −inf for the sides of neurons, which are not read here."""
        reading = read(self.model, self.dictionaries, examples)
        opening = getattr(self.model.tokenizer, "bos_token_id", None)
        skip = int(all(text[0] == opening for text in reading.texts))
        lengths = np.array([len(text) - skip for text in reading.texts])
        scores = np.full(len(self.catalogue), -np.inf)
        for dictionary in self.dictionaries:
            strongest = reading.strongest(dictionary.name, dictionary.d_dict, skip=skip)
            first = self.catalogue.number(dictionary.name, 0)
            scores[first : first + dictionary.d_dict] = evidence(
                strongest, lengths, self._background(dictionary.name)
            )
        return scores

    def like(
        self, family: str, unit: int, likeness: Likeness = "cofires", *, limit: int = LIMIT
    ) -> list[Hit]:
        """Features that fire with one, resemble it, or say the same in the next layers."""
        self.tomogram.features.hold("related")
        found = similar(self.tomogram.features, self.catalogue, family, unit, likeness)
        return hits(found, self.catalogue, limit=limit, grouped=False)

    def in_prompt(self, prompt: str, target: str | None = None) -> PromptReading:
        """What fires in a prompt, and what matters for the next token.

        Args:
            target: the next token; the model's likeliest one when None.
        """
        wanted = None if target is None else self._one_token(target)
        return read_prompt(self.model, self.dictionaries, self.tokens(prompt), target=wanted)

    @cached_property
    def catalogue(self) -> Catalogue:
        """Every unit by number, with its label and its groups."""
        return catalogue(self.tomogram.features, best_labels(self.tomogram))

    @cached_property
    def model(self) -> Model:
        """The model that was scanned; another one is refused."""
        return scanned_model(self.tomogram, self.model_source, device=self.device, dtype=self.dtype)

    @cached_property
    def dictionaries(self) -> tuple[Dictionary, ...]:
        """The dictionaries of the scan, as the tables name them."""
        return scanned_dictionaries(self.tomogram, self.model, self.dictionaries_source)

    def described(self) -> Iterator[Entry]:
        """What is known in words of every unit that fires, in the order of the catalogue."""
        total = int((self.catalogue.rate > 0).sum())
        found = entries(
            self.tomogram.features, self.catalogue, self.tomogram.text, self.tomogram.spelling
        )
        with progress.task("words of features", total=total, unit="units") as task:
            yield from _counted(found, task)

    @cached_property
    def _words(self) -> WordIndex:
        def build(folder: Path) -> None:
            with writing(folder / "words.sqlite") as temporary:
                words.build(self.described(), temporary)

        path = derived(self.tomogram.folder, "search", WORDS_VERSION, self._inputs(), build)
        return WordIndex(path / "words.sqlite")

    def _inputs(self) -> str:
        tables = [
            self.tomogram.folder / "features" / f"{name}.parquet"
            for name in ("features", "exemplars")
        ]
        return digest_json(
            {
                "tables": [digest_file(path) for path in tables],
                "text": self.tomogram.text.digest,
                "labels": [label or "" for label in self.catalogue.labels],
            }
        )

    @cached_property
    def _encoder(self) -> SentenceEncoder:
        if self.encoder_source is None:
            raise TomogramError("Search by meaning needs a sentence encoder; name one.")
        return SentenceEncoder(self.encoder_source)

    @cached_property
    def _vectors(self) -> tuple[np.ndarray, np.ndarray]:
        from safetensors.numpy import load_file, save_file

        def build(folder: Path) -> None:
            described = [
                (entry.number, f"{entry.label} {entry.fires}".strip()[:400])
                for entry in self.described()
            ]
            texts = list(dict.fromkeys(text for _, text in described))
            place = {text: i for i, text in enumerate(texts)}
            with progress.task("meanings", total=len(texts), unit="texts") as task:
                vectors = self._encoder.encode(texts, advance=task.advance).astype(np.float16)
            order = np.array([place[text] for _, text in described], np.int64)
            numbers = np.array([number for number, _ in described], np.int64)
            save_file(
                {"vectors": vectors[order], "numbers": numbers}, folder / "vectors.safetensors"
            )

        inputs = digest_json({"words": self._inputs(), "encoder": self._encoder.digest})
        path = derived(self.tomogram.folder, "search_meaning", MEANINGS_VERSION, inputs, build)
        found = load_file(path / "vectors.safetensors")
        # Half as many bytes in the file; in memory as they are multiplied.
        return found["vectors"].astype(np.float32), found["numbers"]

    def _background(self, family: str) -> Background:
        if family not in self._backgrounds:
            rows = self.tomogram.features.columns(
                "SELECT histogram, tokens FROM features WHERE family = ? ORDER BY unit", (family,)
            )
            histogram = np.stack(list(rows["histogram"]))
            self._backgrounds[family] = Background.of(histogram, int(rows["tokens"][0]))
        return self._backgrounds[family]

    @cached_property
    def _backgrounds(self) -> dict[str, Background]:
        return {}

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text as the model reads it, opened as a document is."""
        tokenizer = self.model.tokenizer
        if tokenizer is None:
            raise TomogramError(f"{self.model.name} has no tokenizer, so it cannot read words.")
        ids = list(tokenizer(text, add_special_tokens=False, verbose=False).input_ids)
        opening = opening_token(tokenizer)
        return ids if opening is None else [opening, *ids]

    def _hits(self, found: Iterable[tuple[int, float]], limit: int, grouped: bool) -> list[Hit]:
        return hits(found, self.catalogue, limit=limit, grouped=grouped)

    def _one_token(self, word: str) -> int:
        ids = self.model.tokenizer(word, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            raise TomogramError(f"{word!r} is {len(ids)} tokens of the model, not one.")
        return int(ids[0])


def _counted(found: Iterable[Entry], task: progress.Task) -> Iterator[Entry]:
    for entry in found:
        yield entry
        task.advance()


def open_search(
    folder: str | Path,
    model: str | Path | Model | None = None,
    *,
    dictionaries: str | Path | None = None,
    encoder: str | Path | None = None,
) -> Search:
    """Search the features of a finished scan's folder.

    Indices are made at the first search that needs them and kept beside the tables.

    Raises TomogramError where there is no finished scan.
    """
    return Search(open_tomogram(folder), model, dictionaries, encoder)
