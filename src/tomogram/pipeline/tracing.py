"""Tracing by itself: from a model's name and a prompt to a checked graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomogram.circuits.graph.attended import LOOKS, attended
from tomogram.circuits.graph.checks import EDGES, PATHS, check
from tomogram.circuits.graph.grouped import grouped
from tomogram.circuits.graph.scores import prune
from tomogram.circuits.graph.supernodes import propose
from tomogram.circuits.graph.targets import Target
from tomogram.circuits.graph.trace import Limits, Traced
from tomogram.circuits.graph.trace import trace as draw
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats.load import find, locate
from tomogram.dictionaries.formats.load import load as load_dictionaries
from tomogram.models.model import Model
from tomogram.pipeline.given import given_model, given_text
from tomogram.store.errors import TomogramError
from tomogram.text.sampled import sample

_CONTEXT, _TOKENS = 128, 1_024


def trace(
    model: str | Path | Model,
    prompt: str | Sequence[int],
    target: Target | None = None,
    dictionaries: str | Path | Sequence[Dictionary] | None = None,
    *,
    text: str | Path | None = None,
    limits: Limits | None = None,
    edges: int = EDGES,
    paths: int = PATHS,
    looks: int = LOOKS,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float32",
    allow_pickle: bool = False,
) -> Traced:
    """Draw the attribution graph of a prompt and measure it by interventions.

    Args:
        model: Hub name, folder, GGUF file, or a loaded model.
        prompt, target: as `circuits.graph.trace.trace` takes them.
        dictionaries: transcoders, or where they are (a folder, or a place on the Hub); what else
            lies there is passed over.
        text: what the conventions of dictionaries are measured on; sampled from the model if None.
        edges, paths: how many are measured; with 0 edges the graph is not checked.
        looks: how many places where heads looked are explained; with 0 nothing is said of heads.

    Raises:
        TomogramError: as `circuits.graph.trace.trace` does, and where model, dictionaries or text
            cannot be read.
    """
    model = given_model(model, device=device, dtype=dtype)
    if isinstance(dictionaries, str | Path):
        dictionaries = transcoders(model, dictionaries, text, seed, allow_pickle)
    traced = draw(model, prompt, target, dictionaries, limits=limits)
    pruned = prune(traced.graph)
    if edges:
        traced = check(traced, edges=edges, paths=paths, seed=seed)
    if looks:
        traced = attended(traced, pruned, looks=looks)
    return grouped(traced, propose(traced.graph, pruned), pruned)


def transcoders(
    model: Model, source: str | Path, text: str | Path | None, seed: int, allow_pickle: bool
) -> list[Dictionary]:
    """The transcoders of a folder or a place on the Hub.

    Args:
        text: what their conventions are measured on; sampled from the model if None.

    Raises:
        TomogramError: there is none, or it cannot be read.
    """
    # Says what is wrong with the folder before a text is sampled.
    find(locate(source, allow_pickle=allow_pickle), allow_pickle=allow_pickle)
    context = min(_CONTEXT, model.context)
    if text is None:
        packed = sample(model, _TOKENS, context, seed)
    else:
        packed = given_text(text, model, context=context, tokens=_TOKENS)
    found = load_dictionaries(source, model, packed, allow_pickle=allow_pickle)
    kept = [dictionary for dictionary in found if not dictionary.shape.is_autoencoder]
    if not kept:
        raise TomogramError(f"{source} holds no transcoder, and a graph needs nothing else.")
    return kept
