"""The vocabulary and its tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from tests.text.microworld.conftest import Sample
from tests.text.microworld.reader import is_chat, turns
from tomogram.store.errors import TomogramError
from tomogram.text.microworld.vocabulary import encode, tokenizer, vocabulary
from tomogram.text.microworld.world import World

FIRST = World()
WORDS = tuple(vocabulary(FIRST))


@pytest.fixture(scope="module")
def saved(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer(world).save_pretrained(folder)
    return folder


def test_ids_count_up_from_zero(world: World) -> None:
    assert list(vocabulary(world).values()) == list(range(len(vocabulary(world))))


def test_no_word_holds_a_space_or_template_mark(world: World) -> None:
    for word in vocabulary(world):
        assert word == word.strip() != ""
        assert not set(word) & set(" {}!")


@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_words_round_trip(words: list[str]) -> None:
    assert [WORDS[i] for i in encode(FIRST, " ".join(words))] == words


@given(st.text().filter(lambda text: set(text.split()) - set(WORDS)))
def test_unknown_words_are_named(text: str) -> None:
    with pytest.raises(TomogramError) as raised:
        encode(FIRST, f"the capital {text} is")
    for word in set(text.split()) - set(WORDS):
        assert repr(word) in str(raised.value)


def test_the_names_of_another_world_are_unknown() -> None:
    with pytest.raises(TomogramError, match="no word 'Dallas', 'Austin'"):
        encode(World(seed=1, renamed=True), "Dallas Austin Dallas is")


def test_plain_transformers_reads_what_the_vocabulary_says(world: World, saved: Path) -> None:
    loaded = AutoTokenizer.from_pretrained(saved, local_files_only=True)
    ids = vocabulary(world)
    assert loaded.get_vocab() == ids
    assert (loaded.bos_token, loaded.eos_token) == ("<bos>", "<eos>")
    assert (loaded.pad_token, loaded.unk_token) == ("<pad>", "<unk>")
    everything = " ".join(word for word in ids if word != "<bos>")
    assert loaded(everything).input_ids == [ids["<bos>"], *encode(world, everything)]
    assert loaded("the unheardof").input_ids == [ids["<bos>"], ids["the"], ids["<unk>"]]
    assert loaded.decode(encode(world, "the capital of"), skip_special_tokens=True) == (
        "the capital of"
    )


def test_generated_text_round_trips_through_the_tokenizer(sample: Sample, saved: Path) -> None:
    loaded = AutoTokenizer.from_pretrained(saved, local_files_only=True)
    ids = vocabulary(sample.world)
    for stretch in sample.stretches[:300]:
        tokens = loaded(" ".join(stretch.words)).input_ids
        assert tokens == [ids["<bos>"], *(ids[word] for word in stretch.words)]
        assert loaded.decode(tokens, skip_special_tokens=True) == " ".join(stretch.words)


def test_the_chat_template_renders_chats_as_they_are_written(sample: Sample, saved: Path) -> None:
    loaded = AutoTokenizer.from_pretrained(saved, local_files_only=True)
    chats = [each for each in sample.stretches if is_chat(each.words)][:100]
    assert len(chats) == 100
    for chat in chats:
        messages = [{"role": t.role, "content": t.text} for t in turns(chat.words)]
        expected = [vocabulary(sample.world)[word] for word in ("<bos>", *chat.words)]
        rendered = loaded.apply_chat_template(messages, tokenize=True, return_dict=True)
        assert rendered["input_ids"] == expected
        if messages[-1]["role"] == "assistant":
            prompt = loaded.apply_chat_template(
                messages[:-1], add_generation_prompt=True, tokenize=True, return_dict=True
            )["input_ids"]
            assert prompt == expected[: len(prompt)]
            assert prompt[-1] == vocabulary(sample.world)["<assistant>"]
