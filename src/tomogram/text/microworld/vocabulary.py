"""The words of a world, and a word-level tokenizer that every other tool can load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from tomogram.store.errors import TomogramError
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import TEMPLATES
from tomogram.text.microworld.world import World
from tomogram.text.microworld.writer import slots

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPECIAL = ("<pad>", "<unk>", "<bos>", "<eos>")
ROLES = ("<system>", "<user>", "<assistant>", "<end>")

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    " <{{ message['role'] }}> {{ message['content'] }} <end>"
    "{% endfor %}"
    "{% if add_generation_prompt %} <assistant>{% endif %}"
)


@lru_cache(maxsize=8)
def vocabulary(world: World) -> Mapping[str, int]:
    """Every word the world's text can contain, with its token id."""
    words: dict[str, None] = dict.fromkeys((*SPECIAL, *ROLES))
    for template in TEMPLATES:
        words.update(dict.fromkeys(word for word, slot, _ in slots(template) if not slot))
    for kind in world.kinds:
        for entity in world.of(kind):
            words.update({entity.english: None, entity.other: None})
    for group in _word_groups():
        words.update(dict.fromkeys(group))
    return {word: i for i, word in enumerate(words)}


def _word_groups() -> Iterable[Iterable[str]]:
    yield from (names.COLOURS, names.POSITIVE, names.NEGATIVE, names.REVIEWED)
    yield from (names.HARMLESS, names.FORBIDDEN, names.INGREDIENTS, names.SECRETS)
    yield from (names.PLACES, names.ANIMALS, names.MOODS)
    yield from names.RHYMES.values()
    for verbs, adjectives in names.AGREEMENT.values():
        yield from (verbs, adjectives)
    for _, words in names.MOODS.values():
        yield words


def encode(world: World, text: str) -> list[int]:
    """Token ids of a text of whole words.

    Raises TomogramError naming the words that the world does not have.
    """
    ids = vocabulary(world)
    unknown = [word for word in text.split() if word not in ids]
    if unknown:
        listed = ", ".join(repr(word) for word in dict.fromkeys(unknown))
        raise TomogramError(f"The microworld has no word {listed}.")
    return [ids[word] for word in text.split()]


def tokenizer(world: World) -> PreTrainedTokenizerFast:
    """The world's tokenizer: one token a word, `<bos>` before every text, `<unk>` for the rest."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = dict(vocabulary(world))
    raw = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", ids["<bos>"])]
    )
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<bos>",
        eos_token="<eos>",
        clean_up_tokenization_spaces=False,
    )
    made.chat_template = CHAT_TEMPLATE
    return made
