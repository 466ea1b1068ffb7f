from __future__ import annotations

import pytest

from tomogram import reference
from tomogram.features.labellers.local import LocalChat
from tomogram.models.load import load
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError


def test_the_reference_model_answers_as_a_chat_model() -> None:
    chat = LocalChat(load(reference.path()))
    question = [{"role": "user", "content": "which city is the capital of Georgia ?"}]
    assert chat.fits(question, 4)
    assert not chat.fits(question, 2_000)
    assert "Atlanta" in chat.ask(question, 4)
    assert chat.ask(question, 4) == chat.ask(question, 4)


def test_a_model_without_a_chat_template_is_refused(model: Model) -> None:
    with pytest.raises(TomogramError, match="no chat model"):
        LocalChat(model)
