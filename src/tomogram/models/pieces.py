"""Tokens of a piece of text that goes on from something else."""

from __future__ import annotations

from tomogram.models.model import Model


def piece(model: Model, text: str) -> list[int]:
    """Token ids of a piece that goes on: its leading space is its own, and nothing begins it."""
    if not text:
        return []
    tokenizer = model.tokenizer
    # Some tokenizers put a space before every text; beside a mark that shows.
    mark = list(tokenizer("|", add_special_tokens=False)["input_ids"])
    whole = list(tokenizer(f"|{text}", add_special_tokens=False)["input_ids"])
    if whole[: len(mark)] == mark and len(whole) > len(mark):
        return whole[len(mark) :]
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])
