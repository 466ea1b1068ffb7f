"""Atlas: discovery without being told what to look for.

Behaviours are proposed from clusters of the model's predictions, each one's circuit is found and
measured, those whose circuits are nearly the same are merged, and the rest are ranked.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tomogram.circuits.discovery.behaviours import Predictions, predictions, propose
from tomogram.circuits.discovery.discover import Settings, discover
from tomogram.circuits.discovery.export import document
from tomogram.circuits.graph.targets import spell_one
from tomogram.models.model import Model
from tomogram.pipeline.given import given_model, given_text
from tomogram.store.atomic import write_json
from tomogram.store.canonical import Json
from tomogram.store.lock import exclusive
from tomogram.store.progress import task
from tomogram.store.stage import Stage, Work
from tomogram.text.packing import PackedText
from tomogram.text.sampled import sample

VERSION = 4
CLUSTERS, PAIRS, TOKENS, CONTEXT = 44, 16, 40_000, 256
WANTED, SHARE, ROUNDS = 0.95, 0.1, 1
"""What a circuit is to reach on the pairs it is searched with, more than it is asked for on
others; the most edges; and how finely it is pruned."""
SAME = 0.8
"""Circuits that share this much of their edges (Jaccard) are one mechanism."""
_EXAMPLES, _TAIL = 5, 12


def atlas(
    model: str | Path | Model | None,
    out: Path,
    *,
    text: str | Path | PackedText | None = None,
    tokens: int = TOKENS,
    clusters: int = CLUSTERS,
    pairs: int = PAIRS,
    settings: Settings | None = None,
    device: str = "cpu",
    dtype: str = "float32",
) -> dict[str, Any]:
    """Propose behaviours, find their circuits, and write `atlas/atlas.json` below `out`.

    Args:
        text: what predictions are made on; sampled from the model itself when None.
        clusters: how many clusters of predictions are looked into.
        pairs: of each behaviour, half of them kept back.

    Raises:
        TomogramError: model or text cannot be read, or the folder cannot be written.
    """
    settings = settings or Settings(wanted=WANTED, limit=SHARE, sampled=0, rounds=ROUNDS)
    model = given_model(model, device=device, dtype=dtype)
    context = min(CONTEXT, model.context)
    with exclusive(out):
        packed = (
            sample(model, tokens, context, settings.seed)
            if text is None
            else given_text(text, model, context=context, tokens=tokens)
        )
        inputs: Json = {
            "model": model.digest,
            "text": packed.digest,
            "clusters": clusters,
            "pairs": pairs,
            "settings": [
                *(settings.method, settings.wanted, settings.limit, settings.sampled),
                *(settings.seed, settings.rounds),
            ],
            "threads": torch.get_num_threads(),
        }

        def body(work: Work) -> None:
            entries = _entries(model, packed, clusters, pairs, settings, work)
            write_json(work.results / "atlas.json", _ranked(entries))

        folder = Stage(out, "atlas", VERSION, inputs).run(body)
    loaded: dict[str, Any] = json.loads((folder / "atlas.json").read_bytes())
    return loaded


def _entries(
    model: Model,
    text: PackedText,
    clusters: int,
    pairs: int,
    settings: Settings,
    work: Work,
) -> list[dict[str, Any]]:
    """One entry a behaviour; finished ones are kept as checkpoints."""
    found = predictions(model, text)
    proposed = propose(model, text, found, clusters=clusters, pairs=pairs, seed=settings.seed)
    entries = []
    with task("finding circuits", total=len(proposed), unit="behaviours") as progress:
        for number, behaviour in enumerate(proposed):
            file = work.checkpoints / f"{number}.json"
            if not file.exists():
                made = document(
                    model, discover(model, behaviour.pairs, settings), behaviour=str(number)
                )
                made |= {
                    "predictions": len(behaviour.members),
                    "share_of_predictions": len(behaviour.members) / len(found.token),
                    "claims": [
                        [int(found.row[i]), int(found.position[i]) + 1] for i in behaviour.members
                    ],
                    "examples": _examples(model, found, behaviour.members),
                }
                write_json(file, made)
            entries.append(json.loads(file.read_bytes()))
            progress.advance()
    return entries


def _examples(model: Model, found: Predictions, members: np.ndarray) -> list[Json]:
    """The end of some prompts and what the model says next, spread over the cluster."""
    places = np.linspace(0, len(members) - 1, min(_EXAMPLES, len(members))).round().astype(int)
    return [
        {
            "prompt": "".join(
                f" {spell_one(model, each).strip()}" for each in found.prompt[i][-_TAIL:]
            ).strip(),
            "says": spell_one(model, int(found.token[i])).strip(),
        }
        for i in members[places]
    ]


def _ranked(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Merge entries with nearly the same circuit, then rank by predictions times faithfulness."""
    kept: list[dict[str, Any]] = []
    for entry in entries:
        own = {edge["edge"] for edge in entry["edges"]}
        same = next((each for each in kept if _jaccard(own, each) >= SAME), None)
        if same is None:
            kept.append(entry | {"merged": 1})
        else:
            # The larger proposal comes first, so its circuit and its proof stand for both.
            claimed = {tuple(each) for each in same["claims"]}
            same["claims"] += [each for each in entry["claims"] if tuple(each) not in claimed]
            same["share_of_predictions"] *= len(same["claims"]) / same["predictions"]
            same["predictions"] = len(same["claims"])
            same["examples"] += entry["examples"][:2]
            same["merged"] += 1
    kept.sort(key=lambda e: -e["share_of_predictions"] * min(1.0, e["faithfulness"]["value"]))
    counts: dict[str, int] = {}
    for entry in kept:
        for edge in entry["edges"]:
            counts[edge["edge"]] = counts.get(edge["edge"], 0) + 1
    shared = sorted((name for name, n in counts.items() if 2 * n >= len(kept) > 1))
    return {"version": VERSION, "mechanisms": kept, "shared_edges": shared}


def _jaccard(own: set[str], other: dict[str, Any]) -> float:
    theirs = {edge["edge"] for edge in other["edges"]}
    return len(own & theirs) / max(1, len(own | theirs))
