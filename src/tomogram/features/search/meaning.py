"""Search by meaning: labels and queries as vectors of a local sentence encoder.

Any encoder that `transformers` loads and that averages over tokens will do, such as the small
all-MiniLM-L6-v2 (Reimers and Gurevych 2019). Nothing is fetched: the encoder is a folder, or a
name that the Hub's cache holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from tomogram.store.digest import digest_array, digest_json
from tomogram.store.errors import TomogramError

LONGEST = 128
"""Tokens of a text that the encoder reads."""
_BATCH = 64


class SentenceEncoder:
    """A sentence encoder: the mean over the last layer's tokens, of norm 1.

    Raises TomogramError where it cannot be loaded.
    """

    def __init__(self, source: str | Path, *, device: str = "cpu") -> None:
        from transformers import AutoModel, AutoTokenizer

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(str(source))
            self._module: Any = AutoModel.from_pretrained(str(source)).eval().to(device)
        except (OSError, ValueError, KeyError) as error:
            raise TomogramError(
                f"'{source}' holds no sentence encoder that transformers can load."
            ) from error

    @property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) over its weights."""
        weights = self._module.state_dict()
        return digest_json({k: digest_array(v.float().cpu().numpy()) for k, v in weights.items()})

    @torch.no_grad()
    def encode(
        self, texts: Sequence[str], *, advance: Callable[[int], None] = lambda texts: None
    ) -> Float[np.ndarray, "texts width"]:
        """A vector of norm 1 for each text, float32."""
        width = int(self._module.config.hidden_size)
        found = np.zeros((len(texts), width), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            given = self._tokenizer(
                [texts[i] for i in batch],
                padding=True,
                truncation=True,
                max_length=LONGEST,
                return_tensors="pt",
            ).to(self._module.device)
            hidden = self._module(**given).last_hidden_state.float()
            mask = given["attention_mask"][..., None].float()
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
            vectors = torch.nn.functional.normalize(mean, dim=1).cpu().numpy()
            found[batch] = vectors
            advance(len(batch))
        return found


def nearest(
    vectors: Float[np.ndarray, "units width"],
    numbers: Sequence[int] | np.ndarray,
    query: Float[np.ndarray, " width"],
    limit: int,
) -> list[tuple[int, float]]:
    """The units whose vectors have the largest cosine with a query, best first.

    Args:
        vectors: of norm 1, one for each of `numbers`; in float32, for most processors have no
            arithmetic in float16.
    """
    cosine = vectors @ query.astype(vectors.dtype, copy=False)
    few = limit < len(cosine)
    best = np.argpartition(-cosine, limit)[:limit] if few else np.arange(len(cosine))
    best = best[np.lexsort((best, -cosine[best]))]
    return [(int(numbers[i]), float(cosine[i])) for i in best]
