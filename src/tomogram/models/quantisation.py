"""Quantisation: in how few bits the weights of a GGUF file were stored."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path


def stored_as(path: Path) -> str:
    """The number format of most of a GGUF file's weights, such as `4-bit weights (Q4_1)`.

    The weights are unpacked to the model's dtype when they are loaded, but they hold no more than
    what was stored. Empty for weights that were never quantised.
    """
    from gguf import GGUFReader

    sizes: Counter[str] = Counter()
    for tensor in GGUFReader(path).tensors:
        sizes[tensor.tensor_type.name] += int(tensor.n_elements)
    name = sizes.most_common(1)[0][0]
    bits = re.match(r"I?Q(\d+)", name)
    return f"{bits[1]}-bit weights ({name})" if bits else ""
