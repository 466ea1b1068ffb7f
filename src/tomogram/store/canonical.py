"""JSON with exactly one spelling for every value, so that equal data has equal bytes.

Keys are sorted, numbers have Python's shortest exact form, NaN and infinities are refused, and the
text is pure ASCII: control characters and direction marks from a model's vocabulary stay visible
and inert, and lone surrogates can be written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


def canonical_json(value: Json) -> str:
    """One line without spaces: the form that digests are taken of.

    Raises ValueError for NaN or an infinity, TypeError for what JSON has no word for and for keys
    that are not strings (`1` and `"1"` would fall together).
    """
    _require_string_keys(value)
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))


def readable_json(value: Json) -> str:
    """The same value, indented and ended by a newline: the form that files are written in.

    Raises the errors of `canonical_json`.
    """
    _require_string_keys(value)
    return json.dumps(value, sort_keys=True, allow_nan=False, indent=1) + "\n"


def _require_string_keys(value: object) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"JSON keys must be strings, not {key!r}")
            _require_string_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _require_string_keys(item)
