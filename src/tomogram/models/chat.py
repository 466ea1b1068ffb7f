"""Chat: turn messages into the tokens a model was trained on, and get its reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import torch
from jinja2 import TemplateError

from tomogram.models.capture import Intervention
from tomogram.models.generate import generate, stop_tokens
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError


class Message(TypedDict):
    """One turn: who speaks ("system", "user" or "assistant"), and what is said."""

    role: str
    content: str


def has_template(model: Model) -> bool:
    """Say whether the model's tokenizer has a chat template."""
    return bool(getattr(model.tokenizer, "chat_template", None))


def render(model: Model, messages: Sequence[Message], *, reply: bool = True) -> list[int]:
    """Write messages with the model's own chat template and return token ids.

    The template is the tokenizer's; transformers renders it in a sandbox.

    Args:
        messages: the turns so far.
        reply: end with the opening of the assistant's turn, ready for its answer.

    Raises:
        TomogramError: the model has no chat template, or it refuses these messages.
    """
    if not has_template(model):
        raise TomogramError(f"{model.name} has no chat template.")
    try:
        text = model.tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=reply
        )
    # Templates raise the first, and trip over missing keys with the others.
    except (TemplateError, ValueError, TypeError, KeyError) as error:
        raise TomogramError(f"The chat template of {model.name} refuses this: {error}.") from error
    # The template has written the special tokens itself.
    return list(model.tokenizer(text, add_special_tokens=False)["input_ids"])


def answer(
    model: Model,
    chats: Sequence[Sequence[Message]],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    interventions: Mapping[Site, Intervention] | None = None,
) -> list[str]:
    """Let the model answer each chat and return the texts of its replies.

    Args are those of `generate`; a reply ends at the model's own end-of-turn token.

    Raises:
        TomogramError: the model has no chat template, or `generate` refuses the settings.
    """
    continued = generate(
        model,
        [render(model, chat) for chat in chats],
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        generator=generator,
        stop=stop_tokens(model),
        interventions=interventions,
    )
    texts = [model.tokenizer.decode(tokens, skip_special_tokens=True) for tokens in continued]
    return [text.strip() for text in texts]
