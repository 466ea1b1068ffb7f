"""Packing keeps every token and every document boundary; splitting shares no document."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tomogram.store.errors import TomogramError
from tomogram.text.packing import (
    PackedText,
    load_packed,
    opening_token,
    pack,
    pack_tokens,
    split,
    tokenize,
)


def byte_tokenizer(bos: str | None, *, adds_bos: bool = False) -> PreTrainedTokenizerFast:
    """A tokenizer with one token a byte, so that any text has tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<s>", "</s>", *alphabet]
    backend = Tokenizer(models.BPE({name: id for id, name in enumerate(names)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    if adds_bos:
        backend.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=bos, eos_token="</s>")


WITH_BOS = byte_tokenizer("<s>")
WITHOUT_BOS = byte_tokenizer(None)
texts = st.lists(st.text(max_size=30), min_size=1, max_size=12)
token_lists = st.lists(
    st.lists(st.integers(0, 99), min_size=1, max_size=40).map(
        lambda ids: np.array(ids, dtype=np.int32)
    ),
    min_size=1,
    max_size=20,
)


def unpacked(text: PackedText) -> list[list[int]]:
    """Tokens of each document, in order."""
    flat, numbers = text.tokens.ravel(), text.documents.ravel()
    return [flat[numbers == number].tolist() for number in np.unique(numbers)]


class TestPack:
    @settings(deadline=None)
    @given(texts, st.integers(1, 40), st.sampled_from([WITH_BOS, WITHOUT_BOS]))
    def test_documents_equal_their_tokenisation(
        self, documents: list[str], context: int, tokenizer: PreTrainedTokenizerFast
    ) -> None:
        prefix = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        wanted = [
            prefix + tokenizer(text, add_special_tokens=False).input_ids for text in documents
        ]
        flat = [token for document in wanted for token in document]
        if not flat:
            with pytest.raises(TomogramError, match="no tokens"):
                pack(documents, tokenizer, context)
            return
        packed = pack(documents, tokenizer, context)
        assert packed.context == min(context, len(flat))
        assert packed.tokens.ravel().tolist() == flat[: packed.n_tokens]
        assert len(flat) - packed.n_tokens < packed.context
        whole = [document for document in wanted if document]
        found = unpacked(packed)
        assert found[:-1] == whole[: len(found) - 1]
        assert found[-1] == whole[len(found) - 1][: len(found[-1])]

    @given(token_lists, st.integers(1, 30), st.integers(0, 300))
    def test_limit(self, documents: list[np.ndarray], context: int, limit: int) -> None:
        everything = pack_tokens(documents, context)
        limited = pack_tokens(documents, context, limit)
        assert limited.rows == min(max(limit // context, 1), everything.rows)
        assert (limited.tokens == everything.tokens[: limited.rows]).all()
        assert (limited.documents == everything.documents[: limited.rows]).all()

    def test_by_hand(self) -> None:
        packed = pack(["ab", "cde", "f"], WITH_BOS, 4)
        a, s = WITH_BOS.convert_tokens_to_ids("a"), WITH_BOS.bos_token_id
        assert packed.tokens.tolist() == [[s, a, a + 1, s], [a + 2, a + 3, a + 4, s]]
        assert packed.documents.tolist() == [[0, 0, 0, 1], [1, 1, 1, 2]]
        assert packed.n_documents == 3

    def test_documents_are_read_only_as_far_as_needed(self) -> None:
        def endless():
            while True:
                yield "some text "

        assert pack(endless(), WITH_BOS, 16, 1000).n_tokens == 992

    def test_many_documents_in_many_batches(self) -> None:
        documents = [f"document {number}" for number in range(3000)]
        wanted = [WITH_BOS("<s>" + text, add_special_tokens=False).input_ids for text in documents]
        assert [ids.tolist() for ids in tokenize(documents, WITH_BOS)] == wanted

    @pytest.mark.parametrize("context", [0, -3])
    def test_context_must_hold_a_token(self, context: int) -> None:
        with pytest.raises(TomogramError, match="at least 1"):
            pack(["text"], WITH_BOS, context)

    def test_no_tokenizer(self) -> None:
        with pytest.raises(TomogramError, match="no tokenizer"):
            pack(["text"], None, 4)

    def test_stories(self, stories15M: Path) -> None:
        tokenizer = AutoTokenizer.from_pretrained(stories15M)
        documents = ["Once upon a time.", "The end <unk> of\nit."]
        wanted = [tokenizer(text).input_ids for text in documents]
        assert wanted[0][0] == tokenizer.bos_token_id
        assert unpacked(pack(documents, tokenizer, sum(map(len, wanted)))) == wanted


class TestOpeningToken:
    def test_what_the_tokenizer_puts_first(self) -> None:
        assert opening_token(byte_tokenizer(None, adds_bos=True)) == 0
        assert opening_token(byte_tokenizer("<s>", adds_bos=True)) == 0

    def test_its_bos_token_where_it_puts_nothing_first(self) -> None:
        assert opening_token(WITH_BOS) == 0
        assert opening_token(WITHOUT_BOS) is None


class TestPackedText:
    def test_arrays_are_read_only(self) -> None:
        source = np.zeros((2, 3), dtype=np.int32)
        text = PackedText(source, source)
        with pytest.raises(ValueError, match="read-only"):
            text.tokens[0, 0] = 1
        source[0, 0] = 1
        assert text.tokens[0, 0] == 0

    def test_shapes_must_agree(self) -> None:
        with pytest.raises(ValueError, match="rows context"):
            PackedText(np.zeros((2, 3), dtype=np.int32), np.zeros((3, 2), dtype=np.int32))

    @given(token_lists, st.integers(1, 8))
    def test_digest_tells_any_change(self, documents: list[np.ndarray], context: int) -> None:
        text = pack_tokens(documents, context)
        assert text.digest == PackedText(text.tokens.copy(), text.documents.copy()).digest
        assert text.digest != PackedText(text.tokens + 1, text.documents).digest
        assert text.digest != PackedText(text.tokens, text.documents + 1).digest
        if text.rows > 1:
            flat = PackedText(text.tokens.reshape(1, -1), text.documents.reshape(1, -1))
            assert text.digest != flat.digest

    def test_take(self) -> None:
        text = pack_tokens([np.arange(12, dtype=np.int32)], 3)
        assert text.take([2, 0]).tokens.tolist() == [[6, 7, 8], [0, 1, 2]]
        assert text.take(slice(1, 3)).rows == 2


class TestFile:
    def test_round_trip(self, tmp_path: Path) -> None:
        text = pack(["one", "two", "three"], WITH_BOS, 5)
        text.save(tmp_path / "sub" / "text.safetensors")
        loaded = load_packed(tmp_path / "sub" / "text.safetensors")
        assert (loaded.tokens == text.tokens).all()
        assert (loaded.documents == text.documents).all()
        assert loaded.digest == text.digest

    @pytest.mark.parametrize("kept", [0, 7, 60, -1])
    def test_cut_short(self, tmp_path: Path, kept: int) -> None:
        file = tmp_path / "text.safetensors"
        pack(["one", "two", "three"], WITH_BOS, 5).save(file)
        file.write_bytes(file.read_bytes()[:kept])
        with pytest.raises(TomogramError, match="damaged"):
            load_packed(file)

    def test_flipped_bit(self, tmp_path: Path) -> None:
        file = tmp_path / "text.safetensors"
        pack(["one", "two", "three"], WITH_BOS, 5).save(file)
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        with pytest.raises(TomogramError, match="digest"):
            load_packed(file)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(TomogramError, match="no packed text"):
            load_packed(tmp_path / "nowhere")


class TestSplit:
    @settings(deadline=None)
    @given(
        st.lists(st.integers(1, 60), min_size=40, max_size=200),
        st.integers(2, 16),
        st.sampled_from([(0.9, 0.1), (0.5, 0.5), (0.6, 0.2, 0.2), (0.3,)]),
        st.integers(0, 99),
    )
    def test_rows_once_and_documents_not_shared(
        self, lengths: list[int], context: int, fractions: tuple[float, ...], seed: int
    ) -> None:
        total = sum(lengths)
        numbers = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        rows = total // context
        numbers = numbers[: rows * context].reshape(rows, context)
        text = PackedText(np.arange(numbers.size, dtype=np.int32).reshape(rows, context), numbers)
        parts = split(text, fractions, seed)
        assert len(parts) == len(fractions)
        seen = np.concatenate([part.tokens.ravel() for part in parts])
        assert len(np.unique(seen)) == len(seen)
        for part, fraction in zip(parts, fractions, strict=True):
            assert (np.diff(part.tokens[:, 0]) > 0).all()
            assert (part.documents.ravel() == numbers.ravel()[part.tokens.ravel()]).all()
            assert 1 <= part.rows <= fraction * rows + rows / 16 + 1
        again = split(text, fractions, seed)
        assert [part.digest for part in again] == [part.digest for part in parts]

    def test_documents_are_not_shared(self) -> None:
        rng = np.random.default_rng(0)
        text = pack_tokens(
            [np.full(length, 1, dtype=np.int32) for length in rng.integers(5, 60, 2000)], 32
        )
        for seed in range(5):
            train, held_out = split(text, (0.9, 0.1), seed)
            assert not np.intersect1d(train.documents, held_out.documents).size
            assert train.rows > 0.8 * text.rows
            assert 0.08 * text.rows < held_out.rows < 0.12 * text.rows

    def test_seeds_differ(self) -> None:
        text = pack_tokens([np.arange(40, dtype=np.int32)] * 100, 8)
        assert split(text, (0.5, 0.5), 0)[0].digest != split(text, (0.5, 0.5), 1)[0].digest

    def test_one_long_document_is_shared(self) -> None:
        text = pack_tokens([np.arange(1000, dtype=np.int32)], 10)
        train, held_out = split(text, (0.9, 0.1), 0)
        assert train.rows + held_out.rows == 100
        assert 8 <= held_out.rows <= 12

    def test_too_few_rows(self) -> None:
        text = pack_tokens([np.arange(10, dtype=np.int32)], 10)
        with pytest.raises(TomogramError, match="1 rows cannot be split into 2 parts"):
            split(text, (0.5, 0.5), 0)

    @pytest.mark.parametrize("fractions", [(), (0.5, 0.6), (1.0, 0.0), (-0.1, 0.5)])
    def test_fractions_are_checked(self, fractions: tuple[float, ...]) -> None:
        with pytest.raises(ValueError, match="fractions"):
            split(pack_tokens([np.arange(10, dtype=np.int32)], 1), fractions, 0)
