"""Packed text: tokens in rows of one length, each knowing its document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import safetensors.numpy
from jaxtyping import Int32
from numpy.typing import NDArray
from safetensors import SafetensorError

from tomogram.store.atomic import write_bytes
from tomogram.store.digest import digest_array, digest_json
from tomogram.store.errors import TomogramError

BATCH_DOCUMENTS = 512
BATCH_CHARACTERS = 1 << 20
"""A batch to tokenise at once ends when it reaches either number."""

SEGMENTS = 64
"""At most so many runs of rows are shuffled between the parts of a split."""


@dataclass(frozen=True, eq=False)
class PackedText:
    """Tokens in rows of one length, and the document each token belongs to.

    Documents follow one another without a gap, over the ends of rows.  Their numbers grow along the
    rows.  Both arrays are read-only.

    Raises:
        TomogramError: there is not a single token.
    """

    tokens: Int32[np.ndarray, "rows context"]
    documents: Int32[np.ndarray, "rows context"]

    def __post_init__(self) -> None:
        for name in ("tokens", "documents"):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.int32)
            if array.flags.writeable and array is getattr(self, name):
                array = array.copy()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.tokens.ndim != 2 or self.tokens.shape != self.documents.shape:
            raise ValueError(
                f"tokens {self.tokens.shape} and documents {self.documents.shape} must be "
                "[rows context]"
            )
        if self.tokens.size == 0:
            raise TomogramError("The text has no tokens.")

    @property
    def rows(self) -> int:
        return int(self.tokens.shape[0])

    @property
    def context(self) -> int:
        return int(self.tokens.shape[1])

    @property
    def n_tokens(self) -> int:
        return int(self.tokens.size)

    @property
    def n_documents(self) -> int:
        return len(np.unique(self.documents))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the tokens, the documents and their shape."""
        return digest_json(
            {"tokens": digest_array(self.tokens), "documents": digest_array(self.documents)}
        )

    def take(self, rows: slice | Sequence[int] | NDArray[np.integer[Any]]) -> Self:
        """The given rows in the given order, documents keeping their numbers."""
        return type(self)(self.tokens[rows], self.documents[rows])

    def save(self, path: str | Path) -> None:
        """Write to a safetensors file, whole or not at all.

        Raises:
            TomogramError: the file cannot be written.
        """
        arrays = {"tokens": self.tokens, "documents": self.documents}
        write_bytes(Path(path), safetensors.numpy.save(arrays, metadata={"digest": self.digest}))


def load_packed(path: str | Path) -> PackedText:
    """Read what ``PackedText.save`` wrote.

    Raises:
        TomogramError: the file is missing, damaged, or not packed text.
    """
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file:
            digest = (file.metadata() or {}).get("digest")
            text = PackedText(file.get_tensor("tokens"), file.get_tensor("documents"))
    except FileNotFoundError as error:
        raise TomogramError(f"There is no packed text at {path}.") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise TomogramError(f"{path} is not packed text, or is damaged.") from error
    if text.digest != digest:
        raise TomogramError(f"{path} is damaged: its tokens do not have the digest it states.")
    return text


def opening_token(tokenizer: Any) -> int | None:
    """The token that opens a document: the one the tokenizer puts first, else its BOS token.

    GPT-2's tokenizer puts nothing first, yet its model has seen the BOS token between documents.
    """
    first = tokenizer("", add_special_tokens=True).input_ids[:1]
    bos = tokenizer.bos_token_id
    return int(first[0]) if first and first[0] != tokenizer.eos_token_id else bos


def tokenize(documents: Iterable[str], tokenizer: Any) -> Iterator[NDArray[np.int32]]:
    """Tokens of each document, opened by the tokenizer's BOS token where it has one.

    Raises:
        TomogramError: the tokenizer is None.
    """
    if tokenizer is None:
        raise TomogramError("The model has no tokenizer, so it cannot read a text.")
    opening = opening_token(tokenizer)
    prefix = [] if opening is None else [opening]
    for batch in _batches(documents):
        # verbose=False: a document longer than the context is no mistake here.
        for ids in tokenizer(batch, add_special_tokens=False, verbose=False).input_ids:
            yield np.array(prefix + ids, dtype=np.int32)


def _batches(documents: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document)
        if len(batch) >= BATCH_DOCUMENTS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def pack(
    documents: Iterable[str], tokenizer: Any, context: int, max_tokens: int | None = None
) -> PackedText:
    """Tokenise documents and pack them into rows.

    Args:
        documents: read only as far as needed.
        tokenizer: a Hugging Face tokenizer.
        context: tokens in a row.
        max_tokens: no more than so many tokens, but at least one row; all when None.

    Returns:
        Rows without padding: the last tokens that fill no row are left out.  A text shorter than
        one row gives one row as long as the text.

    Raises:
        TomogramError: the documents have no tokens, or the tokenizer is None.
    """
    return pack_tokens(tokenize(documents, tokenizer), context, max_tokens)


def pack_tokens(
    documents: Iterable[NDArray[np.int32]], context: int, max_tokens: int | None = None
) -> PackedText:
    """Pack documents that are tokenised already; see ``pack``."""
    if context < 1:
        raise TomogramError(f"A context of {context} tokens holds no text; it must be at least 1.")
    limit = None if max_tokens is None else max(max_tokens // context, 1) * context
    pieces: list[NDArray[np.int32]] = []
    total = 0
    for document in documents:
        pieces.append(document)
        total += len(document)
        if limit is not None and total >= limit:
            break
    if total == 0:
        raise TomogramError("The text has no tokens.")
    context = min(context, total)
    kept = total // context * context if limit is None else min(total // context * context, limit)
    lengths = [len(piece) for piece in pieces]
    numbers = np.repeat(np.arange(len(pieces), dtype=np.int32), lengths)
    return PackedText(
        np.concatenate(pieces)[:kept].reshape(-1, context), numbers[:kept].reshape(-1, context)
    )


def split(text: PackedText, fractions: Sequence[float], seed: int) -> tuple[PackedText, ...]:
    """Split by whole rows into parts that share no document, such as training and held-out text.

    Runs of neighbouring rows are dealt to the parts at random.  Where a document reaches from one
    part into a later one, the earlier part's rows that hold it are left out; a part that would lose
    more than half its rows by this keeps them (a text of one long document is such a case).

    Args:
        fractions: the share of the rows each part gets; their sum is at most 1.
        seed: decides which rows go where.

    Returns:
        One packed text for each fraction, rows in their old order, documents keeping their numbers.

    Raises:
        TomogramError: the text has fewer rows than there are parts.
    """
    if not fractions or min(fractions) <= 0 or sum(fractions) > 1 + 1e-9:
        raise ValueError("fractions must be positive and add up to at most 1")
    if text.rows < len(fractions):
        raise TomogramError(
            f"A text of {text.rows} rows cannot be split into {len(fractions)} parts: give more "
            f"text, or a context shorter than {text.context}."
        )
    runs = np.array_split(np.arange(text.rows), min(text.rows, max(SEGMENTS, 4 * len(fractions))))
    order = np.random.default_rng(seed).permutation(len(runs))
    bounds = _bounds(fractions, len(runs))
    parts = [
        np.sort(np.concatenate([runs[index] for index in order[low:high]]))
        for low, high in pairwise(bounds)
    ]
    return tuple(
        text.take(_without_shared(text, part, parts[number + 1 :]))
        for number, part in enumerate(parts)
    )


def _bounds(fractions: Sequence[float], runs: int) -> list[int]:
    """Where each part's runs begin and end: each part gets at least one."""
    bounds = [0]
    for number, fraction in enumerate(np.cumsum(fractions)):
        left = len(fractions) - number - 1
        bounds.append(int(min(max(round(fraction * runs), bounds[-1] + 1), runs - left)))
    return bounds


def _without_shared(
    text: PackedText, part: NDArray[np.intp], later: Sequence[NDArray[np.intp]]
) -> NDArray[np.intp]:
    """The rows of a part that hold no document of a later part."""
    if not later:
        return part
    taken = np.unique(text.documents[np.concatenate(later)])
    free = ~np.isin(text.documents[part], taken).any(axis=1)
    return part[free] if 2 * free.sum() >= len(part) else part
