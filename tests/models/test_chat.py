"""Chat templates: rendered by the model's own tokenizer, refused in one sentence."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tomogram.models.chat import answer, has_template, render
from tomogram.models.generate import generate
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError

TEMPLATE = (
    "{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    "<{{ m.role }}> {{ m.content }} <end> "
    "{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def _tokenizer(template: str | None) -> Any:
    words = ["<unk>", "<s>", "<end>", "<user>", "<assistant>", *(f"w{i}" for i in range(92))]
    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="<unk>", bos_token="<s>", eos_token="<end>"
    )
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture
def chatty(llama: Model) -> Model:
    return dataclasses.replace(llama, tokenizer=_tokenizer(TEMPLATE))


def test_messages_become_the_tokens_of_the_template(chatty: Model) -> None:
    turn = [{"role": "user", "content": "w0 w1"}]
    assert render(chatty, turn) == [3, 5, 6, 2, 4]
    assert render(chatty, turn, reply=False) == [3, 5, 6, 2]


def test_an_answer_is_the_decoded_continuation(chatty: Model) -> None:
    chats = [[{"role": "user", "content": "w0 w1"}], [{"role": "user", "content": "w7"}]]
    replies = answer(chatty, chats, max_new_tokens=5)
    tokens = generate(chatty, [render(chatty, c) for c in chats], max_new_tokens=5, stop={2})
    for reply, new in zip(replies, tokens, strict=True):
        assert reply == chatty.tokenizer.decode(new, skip_special_tokens=True).strip()
        assert reply
        assert "<end>" not in reply


def test_without_a_template_there_is_no_chat(llama: Model) -> None:
    for tokenizer in (None, _tokenizer(None)):
        model = dataclasses.replace(llama, tokenizer=tokenizer)
        assert not has_template(model)
        with pytest.raises(TomogramError, match="no chat template"):
            render(model, [{"role": "user", "content": "w1"}])


def test_what_the_template_refuses_is_told(chatty: Model) -> None:
    with pytest.raises(TomogramError, match="no system turn"):
        render(chatty, [{"role": "system", "content": "w1"}])


def test_a_template_cannot_reach_out_of_its_sandbox(llama: Model) -> None:
    evil = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    model = dataclasses.replace(llama, tokenizer=_tokenizer(evil))
    with pytest.raises(TomogramError):
        render(model, [{"role": "user", "content": "w1"}])
