"""How each token is spelled: kept with a scan, so that it can be read without its model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tomogram.store.atomic import write_json
from tomogram.store.errors import TomogramError

_BATCH = 4096


def spell(tokenizer: Any, size: int) -> tuple[str, ...]:
    """The text each id below ``size`` adds when it follows a word, its leading space included.

    A token that is not whole characters by itself (a piece of a UTF-8 sequence) or adds nothing is
    spelled as the tokenizer names it; an id the tokenizer does not know as ``[id]``.
    """
    known = min(size, len(tokenizer))
    anchor = _anchor(tokenizer)
    before = _decode(tokenizer, [[anchor]])[0]
    spelled: list[str] = []
    for start in range(0, known, _BATCH):
        ids = range(start, min(start + _BATCH, known))
        names = tokenizer.convert_ids_to_tokens(list(ids))
        texts = _decode(tokenizer, [[anchor, token] for token in ids])
        for token, name, text in zip(ids, names, texts, strict=True):
            added = text.removeprefix(before) if text.startswith(before) else ""
            whole = added and "\ufffd" not in added
            spelled.append(added if whole else f"[{token}]" if name is None else str(name))
    return (*spelled, *(f"[{token}]" for token in range(known, size)))


def save_spelling(spelled: Sequence[str], path: Path) -> None:
    """Write the spelling as a JSON list, atomically."""
    write_json(path, list(spelled))


def load_spelling(path: Path) -> tuple[str, ...]:
    """Read a spelling again.

    Raises TomogramError where the file is missing or is not a JSON list of strings.
    """
    try:
        spelled = json.loads(path.read_bytes())
    except OSError as error:
        raise TomogramError(f"{path} could not be read: {error.strerror}.") from error
    except (ValueError, RecursionError):
        spelled = None
    if not isinstance(spelled, list) or not all(isinstance(word, str) for word in spelled):
        raise TomogramError(f"{path} is not a list of tokens' spellings.")
    return tuple(spelled)


def _anchor(tokenizer: Any) -> int:
    """An ordinary token to decode others after: the last one of some plain letters."""
    special = set(tokenizer.all_special_ids)
    for text in ("a", "the", "0", "."):
        ids = [t for t in tokenizer.encode(text, add_special_tokens=False) if t not in special]
        if ids:
            return int(ids[-1])
    # A closed vocabulary of words: any ordinary one will do.
    return next(token for token in range(len(tokenizer)) if token not in special)


def _decode(tokenizer: Any, sequences: Iterable[list[int]]) -> list[str]:
    return list(
        tokenizer.batch_decode(
            list(sequences), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
    )
