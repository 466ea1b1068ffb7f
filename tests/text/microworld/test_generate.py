"""Generated text: seeded, streaming, packed without a gap, with the truth of every token."""

from __future__ import annotations

from itertools import islice

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.text.microworld.conftest import TOKENS, Sample
from tests.text.microworld.reader import answered_turns, is_chat
from tomogram.text.microworld.behaviours import COPYING_FIRST, MIXTURE, copying
from tomogram.text.microworld.concepts import concepts
from tomogram.text.microworld.generate import documents, generate, items
from tomogram.text.microworld.vocabulary import encode, vocabulary
from tomogram.text.microworld.world import World

FIRST = World()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 3000), st.integers(1, 300))
def test_rows_are_whole_and_documents_count_up(seed: int, n_tokens: int, context: int) -> None:
    made = generate(FIRST, seed, n_tokens, context)
    rows = max(1, n_tokens // context)
    assert made.text.tokens.shape == made.determined.shape == (rows, context)
    assert made.truth.shape == (rows * context, len(concepts(FIRST)))
    opened = made.text.tokens.ravel() == vocabulary(FIRST)["<bos>"]
    assert (made.text.documents.ravel() == np.cumsum(opened) - 1).all()
    assert len(made.behaviours) == opened.sum()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 2000), st.integers(1, 2000))
def test_more_text_begins_with_the_same_text(seed: int, n: int, more: int) -> None:
    short, long = generate(FIRST, seed, n, 1), generate(FIRST, seed, n + more, 1)
    assert (long.text.tokens[:n] == short.text.tokens).all()
    assert (long.text.documents[:n] == short.text.documents).all()
    assert (long.determined[:n] == short.determined).all()
    assert (long.truth[:n] != short.truth).nnz == 0


def test_the_same_seed_gives_the_same_text_and_another_seed_another(world: World) -> None:
    first, again, other = (generate(world, seed, 5_000, 100) for seed in (1, 1, 2))
    assert first.text.digest == again.text.digest
    assert first.text.digest != other.text.digest


def test_packed_text_is_the_documents_one_after_another(world: World) -> None:
    made = generate(world, 8, 20_000, 250)
    written = [["<bos>", *each.words, "<eos>"] for each in islice(documents(world, 8), 2_000)]
    listed = list(vocabulary(world))
    words = [listed[token] for token in made.text.tokens.ravel()]
    assert words == [word for document in written for word in document][: len(words)]


def test_words_are_marked_as_their_document_marks_them(world: World) -> None:
    made = generate(world, 8, 20_000, 250)
    marks = [
        mark
        for each in islice(documents(world, 8), 2_000)
        for mark in (False, *each.determined, False)
    ]
    assert made.determined.ravel().tolist() == marks[:20_000]


def test_every_behaviour_has_about_its_share_of_the_documents(sample: Sample) -> None:
    # Documents whose requests or choices were all held out are empty and left out.
    n, whole = len(sample.stretches), sum(MIXTURE.values())
    for module, share in MIXTURE.items():
        name = module.__name__.rpartition(".")[2]
        named = {"requests": ("requests", "manuals")}.get(name, (name,))
        observed = sum(each.behaviour in named for each in sample.stretches) / n
        assert 0.5 < observed / (share / whole) < 1.3, name


def test_a_mixture_decides_what_documents_are_about() -> None:
    about = [each.behaviour for each in islice(documents(FIRST, 0, {copying: 1.0}), 50)]
    assert set(about) == {"copying"}
    rich = [each.behaviour for each in islice(documents(FIRST, 0, COPYING_FIRST), 2_000)]
    usual = [each.behaviour for each in islice(documents(FIRST, 0), 2_000)]
    assert rich.count("copying") > 2 * usual.count("copying")


def test_every_word_is_used(sample: Sample) -> None:
    used = set(np.unique(sample.generated.text.tokens).tolist())
    unused = {word for word, i in vocabulary(sample.world).items() if i not in used}
    assert unused == {"<pad>", "<unk>"}


def test_every_chat_asks_and_answers(sample: Sample) -> None:
    """No chat is a system turn alone, and no user is left without an answer."""
    chats = [each for each in sample.stretches if is_chat(each.words)]
    assert {each.behaviour for each in chats} == {
        *("requests", "truth", "opinions", "power", "exams", "secrets", "moods")
    }
    assert all(answered_turns(each.words) for each in chats)


def test_items_are_distinct_and_in_the_vocabulary(world: World) -> None:
    asked = items(world)
    assert len({(item.behaviour, item.prompt) for item in asked}) == len(asked)
    for item in asked:
        encode(world, item.prompt)
        for answer in item.accepted:
            assert len(encode(world, answer)) == 1
    counts = {item.behaviour: 0 for item in asked}
    for item in asked:
        counts[item.behaviour] += 1
    assert min(counts.values()) >= 20, counts


def test_no_text_holds_an_item(sample: Sample) -> None:
    """The prompt of an item never occurs with an answer after it; of a chat, not even alone."""
    assert len(sample.words) == TOKENS
    for item in items(sample.world):
        if item.prompt.startswith("<"):
            assert not sample.says("<bos>", item.prompt), item
        elif item.behaviour == "lie":
            raise AssertionError("lies are told in chats")
        else:
            for answer in item.accepted:
                assert not sample.says(item.prompt, answer), item
