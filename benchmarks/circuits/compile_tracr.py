"""Compile the Tracr programs whose weights are shipped. Needs an environment of its own.

    python -m venv tracr && tracr/bin/pip install tracr-pypi
    tracr/bin/python benchmarks/circuits/compile_tracr.py tracr.npz

The file belongs into `src/tomogram/circuits/known/weights/`.

Tracr (Lindner et al. 2023, "Tracr: Compiled Transformers as a Laboratory for Interpretability") is
under the Apache licence 2.0, and what it compiles from the programs below is ours to ship. The
programs look back only, so that they are true of a causal model.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from tracr.compiler import compiling, lib
from tracr.rasp import rasp

BOS = "BOS"
CONTEXT = 10


def previous(n: int = 1) -> Any:
    """The token n places before."""
    select = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == query - n)
    return rasp.Aggregate(select, rasp.tokens, default=None).named(f"previous_{n}")


def repeated() -> Any:
    """Whether a token is the same as the one before it."""
    same = rasp.SequenceMap(lambda x, y: "yes" if x == y else "no", rasp.tokens, previous())
    return same.named("repeated")


def induction() -> Any:
    """What came after the earlier occurrence of this token."""
    select = rasp.Select(previous(), rasp.tokens, rasp.Comparison.EQ)
    return rasp.Aggregate(select, rasp.tokens, default=None).named("induction")


def balance() -> Any:
    """The share of opening brackets so far less that of closing ones."""
    return lib.make_pair_balance(rasp.tokens, "(", ")").named("balance")


PROGRAMS = {
    "previous token": (previous, "abcd"),
    "token before the last": (lambda: previous(2), "abcd"),
    "repeated token": (repeated, "abc"),
    "induction": (induction, "abcdef"),
    "balance": (balance, "()a"),
}


def compiled(program: Any, vocabulary: str) -> dict[str, np.ndarray]:
    """The matrices of a program in the shapes of `known.parts`, and what its outputs are."""
    model = compiling.compile_rasp_to_model(
        program, set(vocabulary), max_seq_len=CONTEXT, causal=True, compiler_bos=BOS
    )
    config, params = model.model_config, model.params
    heads, size = config.num_heads, config.key_size
    tokens = model.input_encoder.encoding_map
    order = [BOS, *sorted(vocabulary)]
    embed = np.asarray(params["token_embed"]["embeddings"])
    found = {
        "embed": embed[[tokens[token] for token in order]],
        "positions": np.asarray(params["pos_embed"]["embeddings"]),
    }
    d = embed.shape[1]
    for layer in range(config.num_layers):
        prefix = f"transformer/layer_{layer}"
        for name in ("query", "key", "value"):
            part = params[f"{prefix}/attn/{name}"]
            weight = np.asarray(part["w"]).reshape(d, heads, size).transpose(1, 0, 2)
            found[f"{layer}/{name}"] = weight
            found[f"{layer}/{name}_bias"] = np.asarray(part["b"]).reshape(heads, size)
        out = params[f"{prefix}/attn/linear"]
        assert not np.asarray(out["b"]).any()
        found[f"{layer}/output"] = np.asarray(out["w"]).reshape(heads, size, d)
        for name, own in (("into", "linear_1"), ("out", "linear_2")):
            part = params[f"{prefix}/mlp/{own}"]
            found[f"{layer}/{name}"] = np.asarray(part["w"])
            found[f"{layer}/{name}_bias"] = np.asarray(part["b"])
    label = program.label
    dims = [
        place
        for place, name in enumerate(model.residual_labels)
        if name == label or name.startswith(f"{label}:")
    ]
    assert dims, model.residual_labels
    unembed = np.zeros((d, max(len(dims), 2)))
    if len(dims) == 1:
        # A number: two answers, more and less.
        unembed[dims[0]] = (1.0, -1.0)
    else:
        for column, place in enumerate(dims):
            unembed[place, column] = 1.0
    return found | {"unembed": unembed}


def main(path: str) -> None:
    """Compile all programs into one file."""
    arrays = {
        f"{name}/{key}": np.asarray(value, np.float32)
        for name, (make, vocabulary) in PROGRAMS.items()
        for key, value in compiled(make(), vocabulary).items()
    }
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1])
