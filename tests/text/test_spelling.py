"""Tokens spelled as they read in a text, for real tokenizers of three kinds."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tomogram.store.errors import TomogramError
from tomogram.text.spelling import load_spelling, save_spelling, spell

TEXT = "The cat sat on the mat. Ein schöner Tag, 漢字 and 🙂.\n" * 20


def byte_level() -> PreTrainedTokenizerFast:
    """A small byte-level BPE tokenizer, trained here."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")


def words() -> PreTrainedTokenizerFast:
    """A closed vocabulary of words."""
    vocabulary = {word: i for i, word in enumerate(["<unk>", "<bos>", "dallas", "is", "?"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<bos>")


def test_byte_level_tokens_spell_the_text_they_stand_for() -> None:
    tokenizer = byte_level()
    spelled = spell(tokenizer, len(tokenizer))
    ids = tokenizer.encode(" The cat sat on the mat.\n", add_special_tokens=False)
    assert "".join(spelled[token] for token in ids) == " The cat sat on the mat.\n"
    assert not any("\ufffd" in word or word == "" for word in spelled)


def test_words_stand_apart() -> None:
    tokenizer = words()
    assert spell(tokenizer, 5)[2:] == (" dallas", " is", " ?")


def test_ids_beyond_the_tokenizer_are_numbers() -> None:
    assert spell(words(), 7)[5:] == ("[5]", "[6]")


def test_a_sentencepiece_vocabulary(stories15M: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(stories15M)
    spelled = spell(tokenizer, len(tokenizer))
    ids = tokenizer.encode("Once upon a time,\nLily saw 漢é.", add_special_tokens=False)
    assert "".join(spelled[token] for token in ids) == " Once upon a time,\nLily saw 漢é."


def test_spelling_is_kept_exactly(tmp_path: Path) -> None:
    spelled = ("<script>", "\u202e", "\x00", "漢", "\ud800")
    save_spelling(spelled, tmp_path / "vocabulary.json")
    assert load_spelling(tmp_path / "vocabulary.json") == spelled


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff", b"[" * 100_000])
def test_a_broken_file_is_told(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_bytes(data)
    with pytest.raises(TomogramError, match="spellings"):
        load_spelling(path)
    with pytest.raises(TomogramError, match="could not be read"):
        load_spelling(tmp_path / "missing.json")
