"""Discovery by itself: from a model's name and a file of pairs to a folder of results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from tomogram.circuits.discovery.discover import Discovery, Settings, discover, halves
from tomogram.circuits.discovery.edges import edge_graph
from tomogram.circuits.discovery.export import document, eap_ig, features
from tomogram.circuits.discovery.faithfulness import ends
from tomogram.circuits.discovery.feature_circuit import discover_features
from tomogram.circuits.discovery.pairs import Pair, read_pairs
from tomogram.circuits.discovery.scores import EdgeScores, score
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.model import Model
from tomogram.pipeline.given import given_model
from tomogram.pipeline.tracing import transcoders
from tomogram.store.atomic import write_json
from tomogram.store.canonical import Json
from tomogram.store.digest import digest_array, digest_json
from tomogram.store.lock import exclusive
from tomogram.store.stage import Stage, Work

VERSION = 2


def discover_pairs(
    model: str | Path | Model,
    pairs: str | Path | Sequence[Pair],
    *,
    settings: Settings | None = None,
    out: Path | None = None,
    behaviour: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
) -> dict[str, Json]:
    """Find and measure the circuit of a behaviour, and return its document (`export.document`).

    Args:
        model: Hub name, folder, GGUF file, or a loaded model.
        pairs: a file of JSON lines (`pairs.read_pairs`), or pairs.
        out: folder for `scores/` and `circuit/`; an interrupted run goes on there, and a finished
            one is not done again. Nothing is written when None.
        behaviour: what the behaviour is called; the file's name when None.

    Raises:
        TomogramError: model or pairs cannot be read, the pairs hold no behaviour, or the folder
            cannot be written.
    """
    settings = settings or Settings()
    model = given_model(model, device=device, dtype=dtype)
    if isinstance(pairs, str | Path):
        behaviour = behaviour or Path(pairs).stem
        pairs = read_pairs(pairs, model)
    name = behaviour or "behaviour"
    if out is None:
        return document(model, discover(model, pairs, settings), behaviour=name)
    with exclusive(out):
        return _in_stages(model, tuple(pairs), settings, out, name)


def discover_feature_pairs(
    model: str | Path | Model,
    pairs: str | Path | Sequence[Pair],
    dictionaries: str | Path | Sequence[Dictionary],
    *,
    settings: Settings | None = None,
    out: Path | None = None,
    behaviour: str | None = None,
    text: str | Path | None = None,
    device: str = "cpu",
    dtype: str = "float32",
) -> dict[str, Json]:
    """Find and measure a behaviour's circuit over features, and return its document
    (`export.features`).

    Args:
        dictionaries: transcoders of single layers, or where they are; what else lies there is
            passed over. text: what their conventions are measured on; sampled when None.
        out: folder for `features/`; a finished run there is not done again.

    Raises:
        TomogramError: as `discover_pairs` does, and where dictionaries are no transcoders of single
            layers of this model.
    """
    settings = settings or Settings()
    model = given_model(model, device=device, dtype=dtype)
    if isinstance(dictionaries, str | Path):
        dictionaries = transcoders(model, dictionaries, text, settings.seed, False)
    if isinstance(pairs, str | Path):
        behaviour = behaviour or Path(pairs).stem
        pairs = read_pairs(pairs, model)
    name = behaviour or "behaviour"
    own, given = tuple(dictionaries), tuple(pairs)

    def made() -> dict[str, Json]:
        return features(model, discover_features(model, own, given, settings), behaviour=name)

    if out is None:
        return made()

    def searching(work: Work) -> None:
        write_json(work.results / "features.json", made())

    inputs: Json = {
        "model": model.digest,
        "pairs": digest_json([_as_json(pair) for pair in given]),
        "dictionaries": [_digest(each) for each in own],
        "threads": torch.get_num_threads(),
        "settings": asdict(settings),
        "name": name,
    }
    with exclusive(out):
        folder = Stage(out, "features", VERSION, inputs).run(searching)
    loaded: dict[str, Json] = json.loads((folder / "features.json").read_bytes())
    return loaded


def _in_stages(
    model: Model, pairs: tuple[Pair, ...], settings: Settings, out: Path, name: str
) -> dict[str, Json]:
    graph = edge_graph(model)
    read: dict[str, Json] = {
        "model": model.digest,
        "pairs": digest_json([_as_json(pair) for pair in pairs]),
        "threads": torch.get_num_threads(),
        "seed": settings.seed,
        "method": settings.method,
    }
    searched, _ = halves(pairs, settings.seed)

    def scoring(work: Work) -> None:
        ends(model, graph, searched)
        np.savez(
            work.results / "scores.npz",
            by_pair=score(model, graph, searched, settings.method).by_pair,
        )

    scored = Stage(out, "scores", VERSION, read)
    with np.load(scored.run(scoring) / "scores.npz") as file:
        scores = EdgeScores(settings.method, graph, file["by_pair"])

    def searching(work: Work) -> None:
        found: Discovery = discover(model, pairs, settings, scores=scores)
        write_json(work.results / "discovery.json", document(model, found, behaviour=name))
        write_json(work.results / "circuit.json", eap_ig(model, found))

    inputs: Json = {"scores": scored.digest, "name": name, "settings": asdict(settings)}
    folder = Stage(out, "circuit", VERSION, inputs).run(searching)
    loaded: dict[str, Json] = json.loads((folder / "discovery.json").read_bytes())
    return loaded


def _digest(dictionary: Dictionary) -> Json:
    weights: dict[str, Json] = {
        name: digest_array(weight) for name, weight in dictionary.state_dict().items()
    }
    return [dictionary.name, dictionary.kind, str(dictionary.config()), weights]


def _as_json(pair: Pair) -> Json:
    return [list(pair.clean), list(pair.counterfactual), pair.answer, pair.other, pair.position]
