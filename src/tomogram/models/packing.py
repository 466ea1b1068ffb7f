"""Sequences that begin alike, read in one row in which what they share stands once.

Prompts of one chat template have half of their tokens in common. Laid out as a tree, each token
attends to those between it and its root and has its own sequence's position, so it gets what it
would get in a row of its own, up to rounding (as in the verification of token trees: Miao et al.
2023, "SpecInfer", section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from transformers import PreTrainedModel

_ALIKE = 1e-3
"""Most by which a stream read in a tree may differ from the same read alone, relative to its
length; a model that ignores the layout differs by far more."""
_SPARED = 0.75
"""Most tokens of a tree beside those of padded rows: a longer row costs more attention."""
_NEAR = ("sliding_window", "window_size", "attention_window", "attention_chunk_size")
"""Names that configurations have for attention to near tokens alone."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Which position each token of a row has, and which tokens it attends to.

    positions: [1, pos]. mask: [1, 1, pos, pos], 0 where a token attends and -inf elsewhere.
    """

    positions: Int64[Tensor, "1 pos"]
    mask: Float[Tensor, "1 1 pos pos"]

    def keywords(self, dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
        """What a Hugging Face module is given beside the tokens."""
        mask = self.mask.to(device, dtype)
        return {"position_ids": self.positions.to(device), "attention_mask": mask}


@dataclass(frozen=True, eq=False)
class Packed:
    """Sequences as the rows of one forward pass.

    layout: None where every sequence has a row of its own, padded on the right.
    rows, places: for each sequence, the row that it is in and the place there of each token.
    """

    tokens: Int64[Tensor, "row pos"]
    layout: Layout | None
    rows: tuple[int, ...]
    places: tuple[tuple[int, ...], ...]

    def last(self) -> tuple[Tensor, Tensor]:
        """Row and place of every sequence's last token, as an index."""
        return torch.tensor(self.rows), torch.tensor([each[-1] for each in self.places])

    def keywords(self, dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
        """What a Hugging Face module is given beside the tokens."""
        return {} if self.layout is None else self.layout.keywords(dtype, device)


def pack(module: PreTrainedModel, sequences: Sequence[Sequence[int]]) -> Packed:
    """Lay sequences out for a model: as one tree where it reads those and that spares tokens, else
    a row each.

    Raises ValueError where there are none, or one is empty.
    """
    if not sequences or not all(sequences):
        raise ValueError("packed are one sequence at least, of one token at least")
    alone = padded(sequences)
    if not reads_trees(module):
        return alone
    together = tree(sequences)
    return together if together.tokens.numel() <= _SPARED * alone.tokens.numel() else alone


def tree(sequences: Sequence[Sequence[int]]) -> Packed:
    """One row, in which every beginning that sequences share stands once."""
    known: dict[tuple[int, int], int] = {}
    tokens: list[int] = []
    depths: list[int] = []
    parents: list[int] = []
    places = []
    for sequence in sequences:
        at, place = -1, []
        for depth, token in enumerate(sequence):
            if (at, token) not in known:
                known[at, token] = len(tokens)
                tokens.append(token)
                depths.append(depth)
                parents.append(at)
            at = known[at, token]
            place.append(at)
        places.append(tuple(place))
    seen: Bool[Tensor, "pos pos"] = torch.eye(len(tokens), dtype=torch.bool)
    for i, parent in enumerate(parents):  # parents come before their children
        if parent >= 0:
            seen[i] |= seen[parent]
    mask = torch.zeros(len(tokens), len(tokens)).masked_fill(~seen, -torch.inf)
    layout = Layout(torch.tensor([depths]), mask[None, None])
    return Packed(torch.tensor([tokens]), layout, (0,) * len(sequences), tuple(places))


def padded(sequences: Sequence[Sequence[int]]) -> Packed:
    """A row each. What is padded on the right is not seen by the tokens before it."""
    tokens = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.int64)
    for row, each in zip(tokens, sequences, strict=True):
        row[: len(each)] = torch.tensor(each)
    places = tuple(tuple(range(len(each))) for each in sequences)
    return Packed(tokens, None, tuple(range(len(sequences))), places)


def reads_trees(module: PreTrainedModel) -> bool:
    """Whether a model obeys a layout: tried once for each kind of model."""
    config = module.config
    if any(getattr(config, name, None) for name in _NEAR):
        return False
    kind = (type(module), str(config._attn_implementation))
    if kind not in _obedient:
        _obedient[kind] = _obeys(module)
    return _obedient[kind]


_obedient: dict[tuple[type, str], bool] = {}
"""What was tried, by class and attention."""


@torch.no_grad()
def _obeys(module: PreTrainedModel) -> bool:
    where = next(module.parameters())
    sequences = ((1, 2, 3, 4), (1, 2, 5), (6, 3, 4))
    streams = []
    for each in (tree(sequences), padded(sequences)):
        words = each.keywords(where.dtype, where.device)
        try:
            with torch.autocast(where.device.type, enabled=False):
                found = module.base_model(each.tokens.to(where.device), use_cache=False, **words)
        except (TypeError, ValueError, RuntimeError):  # it takes no positions, or no such mask
            return False
        streams.append(found.last_hidden_state[each.last()].float())
    return bool((streams[0] - streams[1]).norm() <= _ALIKE * streams[1].norm())
