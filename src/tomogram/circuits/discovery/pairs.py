"""Pairs: a behaviour as prompts and their counterfactuals, of equal length, with two answers.

Following MIB (Mueller et al. 2025) a behaviour is a set of pairs of prompts: on the first the model
gives an answer, on the second another, and nothing else differs that matters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.circuits.graph.targets import token_id
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError

_PADDED = 1.5


@dataclass(frozen=True, slots=True)
class Pair:
    """Two prompts of equal length and the answers to them.

    Args:
        clean, counterfactual: token ids.
        answer, other: token ids of the answers to the clean and to the counterfactual prompt.
        position: where the answer is asked for; the last position when None.

    Raises:
        TomogramError: the prompts differ in length or are empty or equal, the answers are equal, or
            the position lies outside.
    """

    clean: tuple[int, ...]
    counterfactual: tuple[int, ...]
    answer: int
    other: int
    position: int | None = None

    def __post_init__(self) -> None:
        sizes = len(self.clean), len(self.counterfactual)
        if sizes[0] != sizes[1]:
            raise TomogramError(
                f"The two prompts of a pair must have as many tokens; they have {sizes[0]} and"
                f" {sizes[1]}."
            )
        if not self.clean or self.clean == self.counterfactual:
            raise TomogramError("The two prompts of a pair must differ and hold a token.")
        if self.answer == self.other:
            raise TomogramError("The two answers of a pair must be different tokens.")
        if self.position is not None and not 0 <= self.position < sizes[0]:
            raise TomogramError(
                f"The position {self.position} lies outside a pair of {sizes[0]} tokens."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Pairs as tensors, shorter ones padded on the right; `rows` are their places among all pairs.

    What stands after `position` is never asked about.
    """

    rows: tuple[int, ...]
    clean: Int[Tensor, "pair pos"]
    counterfactual: Int[Tensor, "pair pos"]
    answer: Int[Tensor, " pair"]
    other: Int[Tensor, " pair"]
    position: Int[Tensor, " pair"]

    def asked(self, stream: Float[Tensor, "pair pos d"]) -> Float[Tensor, "pair d"]:
        """The values at the position that each pair asks about."""
        return stream[torch.arange(len(self.rows), device=stream.device), self.position]

    def difference(self, logits: Float[Tensor, "pair d_vocab"]) -> Float[Tensor, " pair"]:
        """The metric m: the answer's logit less the other answer's.

        It is signed and linear in the logits: a distance to the clean output would have no gradient
        there.
        """
        rows = torch.arange(len(self.rows), device=logits.device)
        return logits[rows, self.answer] - logits[rows, self.other]

    def repeated(self, times: int) -> Batch:
        """Every pair `times` times in a row."""
        return Batch(
            tuple(row for row in self.rows for _ in range(times)),
            *(
                value.repeat_interleave(times, 0)
                for value in (
                    self.clean,
                    self.counterfactual,
                    self.answer,
                    self.other,
                    self.position,
                )
            ),
        )


def batches(
    pairs: Sequence[Pair], *, tokens: int = 2_048, device: torch.device | str = "cpu"
) -> list[Batch]:
    """Pairs in batches of at most `tokens` positions each, and at least one pair.

    Pairs of similar lengths go together, the shorter ones with their last tokens repeated: a model
    that looks back only does the same where a pair asks, whatever comes after. At most a third of a
    batch is such padding.
    """
    order = sorted(range(len(pairs)), key=lambda row: len(pairs[row].clean))
    found: list[list[int]] = []
    real = 0
    for row in order:
        length = len(pairs[row].clean)
        padded = length * (len(found[-1]) + 1) if found else 0
        if not found or padded > tokens or padded > _PADDED * (real + length):
            found.append([])
            real = 0
        found[-1].append(row)
        real += length
    return [_batch(pairs, rows, device) for rows in found]


def _batch(pairs: Sequence[Pair], rows: Sequence[int], device: torch.device | str) -> Batch:
    chosen = [pairs[row] for row in rows]
    longest = max(len(pair.clean) for pair in chosen)

    def column(values: Iterable[int | tuple[int, ...]]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.long, device=device)

    def padded(prompt: tuple[int, ...]) -> tuple[int, ...]:
        return prompt + prompt[-1:] * (longest - len(prompt))

    return Batch(
        tuple(rows),
        column(padded(pair.clean) for pair in chosen),
        column(padded(pair.counterfactual) for pair in chosen),
        column(pair.answer for pair in chosen),
        column(pair.other for pair in chosen),
        column(len(p.clean) - 1 if p.position is None else p.position for p in chosen),
    )


def read_pairs(path: str | Path, model: Model) -> tuple[Pair, ...]:
    """Read pairs from a file of JSON lines.

    A line is an object with `clean` and `counterfactual` (texts, or lists of token ids), and, if
    wanted, `answer` and `other` (texts of one token, or token ids) and `position`. Without answers
    they are what the model itself says to either prompt.

    Raises:
        TomogramError: the file cannot be read or holds no pair; a line is no such object, a prompt
            is over the context, the prompts differ in length, an answer is not one token, or the
            model says the same to both. The line's number is named.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TomogramError(f"The pairs in {path} cannot be read: {error}.") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(_parsed(line, model))
        except TomogramError as error:
            raise TomogramError(f"{path}, line {number}: {error}") from error
    if not found:
        raise TomogramError(f"{path} holds no pair.")
    return tuple(found)


def _parsed(line: str, model: Model) -> Pair:
    try:
        given = json.loads(line)
    except ValueError as error:
        raise TomogramError("a pair is a JSON object.") from error
    if not isinstance(given, dict) or not {"clean", "counterfactual"} <= given.keys():
        raise TomogramError("a pair is a JSON object with 'clean' and 'counterfactual'.")
    position = given.get("position")
    if position is not None and (isinstance(position, bool) or not isinstance(position, int)):
        raise TomogramError("a position is a whole number.")
    answers = [given.get(name) for name in ("answer", "other")]
    return make_pair(
        model,
        given["clean"],
        given["counterfactual"],
        None if answers[0] is None else token_id(model, answers[0]),
        None if answers[1] is None else token_id(model, answers[1]),
        position,
    )


def make_pair(
    model: Model,
    clean: str | Sequence[int],
    counterfactual: str | Sequence[int],
    answer: int | None = None,
    other: int | None = None,
    position: int | None = None,
) -> Pair:
    """A pair of prompts; a missing answer is the model's own.

    Raises:
        TomogramError: as `Pair` does, and where a prompt cannot be read or is over the context.
    """
    prompts = [token_ids(model, each) for each in (clean, counterfactual)]
    for prompt in prompts:
        model.check_tokens(torch.tensor([prompt]))
    # Lengths are told before the model is asked.
    Pair(prompts[0], prompts[1], 0, 1, position)
    if answer is None or other is None:
        own = _said(model, prompts, position)
        answer = own[0] if answer is None else answer
        other = own[1] if other is None else other
        if answer == other:
            raise TomogramError("the model's answers to both prompts are the same token; name two.")
    return Pair(prompts[0], prompts[1], answer, other, position)


@torch.no_grad()
def _said(model: Model, prompts: Sequence[tuple[int, ...]], position: int | None) -> list[int]:
    logits = model.run(torch.tensor(prompts)).logits
    assert logits is not None
    said: list[int] = logits[:, -1 if position is None else position].argmax(-1).tolist()
    return said


def token_ids(model: Model, prompt: str | Sequence[int]) -> tuple[int, ...]:
    """A prompt's token ids, with whatever the tokenizer puts before every text.

    Raises:
        TomogramError: it is neither text nor token ids, or the model has no tokenizer.
    """
    if isinstance(prompt, str):
        if model.tokenizer is None:
            raise TomogramError(f"{model.name} has no tokenizer; give token ids.")
        return tuple(model.tokenizer(prompt)["input_ids"])
    if not isinstance(prompt, Sequence) or not all(
        isinstance(each, int) and not isinstance(each, bool) for each in prompt
    ):
        raise TomogramError("a prompt is a text or a list of token ids.")
    return tuple(int(each) for each in prompt)
