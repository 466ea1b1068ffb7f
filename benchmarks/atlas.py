"""Atlas: discovery without being told, held against what the microworld's generator planted.

The reference model's atlas is drawn from microworld text, without a word of its truth. The planted
behaviours are the generator's own list, a file of `text/microworld/behaviours/` each. The tokens of
one are those that its documents determine (`writer.Document.determined`: the words that are the
point of a document), and for copying, which marks none, its repeated sequences; of both only those
as early in their document as the atlas reads. A mechanism and a behaviour match when the F1 between
the tokens the mechanism claims and the behaviour's is at least .7, one to one.

    python -m benchmarks.atlas --json
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from benchmarks.harness import Figure, figure, main
from tomogram.circuits.discovery.behaviours import LONGEST
from tomogram.models.load import load
from tomogram.pipeline.atlas import CLUSTERS, CONTEXT, PAIRS, atlas
from tomogram.reference.shipped import path, world_of
from tomogram.store.estimates import estimate
from tomogram.text.microworld.concepts import concepts
from tomogram.text.microworld.generate import MicroworldText, generate
from tomogram.text.microworld.world import World

MATCH, FAITHFUL, SHARE, LENGTH = 0.7, 0.85, 0.10, 3.0
TOKENS, SEED = 60_000, 1_000_003
Places = set[tuple[int, int]]


def planted(world: World, made: MicroworldText) -> dict[str, Places]:
    """The tokens (row, position) of every behaviour in a text."""
    text, shape = made.text, made.text.tokens.shape
    column = [each.name for each in concepts(world)].index("repeated sequence")
    repeated = np.asarray(made.truth[:, [column]].todense()).reshape(shape).astype(bool)
    found: dict[str, Places] = {}
    for row in range(shape[0]):
        owner = text.documents[row]
        starts = np.r_[0, np.flatnonzero(np.diff(owner)) + 1]
        start = starts[np.searchsorted(starts, np.arange(shape[1]), side="right") - 1]
        offset = np.arange(shape[1]) - start
        # What the atlas reads: whole documents, and in them the first tokens.
        seen = ((start > 0) | (row == 0)) & (offset >= 2) & (offset <= LONGEST)
        for place in np.flatnonzero(seen & (made.determined[row] | repeated[row])):
            behaviour = made.behaviours[owner[place]]
            if made.determined[row, place] or behaviour == "copying":
                found.setdefault(behaviour, set()).add((row, int(place)))
    return found


def agreement(
    claims: Sequence[Places], truth: Sequence[Places]
) -> Float[np.ndarray, "claim behaviour"]:
    """F1 between the tokens of every claim and of every behaviour."""
    found = np.zeros((len(claims), len(truth)))
    for i, claim in enumerate(claims):
        for j, own in enumerate(truth):
            found[i, j] = 2 * len(claim & own) / max(1, len(claim) + len(own))
    return found


def one_to_one(f1: Float[np.ndarray, "claim behaviour"]) -> list[tuple[int, int]]:
    """Most matches, each claim and each behaviour in one at most; of these, the best."""
    worth = np.where(f1 >= MATCH, 1 + f1, 0.0)
    return [
        (int(i), int(j))
        for i, j in zip(*linear_sum_assignment(worth, maximize=True), strict=True)
        if f1[i, j] >= MATCH
    ]


def figures(found: Mapping[str, Any], truth: Mapping[str, Places]) -> dict[str, Figure]:
    """What the atlas is worth against the list."""
    mechanisms = found["mechanisms"]
    names = list(truth)
    claims = [{(row, place) for row, place in each["claims"]} for each in mechanisms]
    f1 = agreement(claims, [truth[name] for name in names])
    matches = one_to_one(f1)
    good = [
        (i, j)
        for i, j in matches
        if mechanisms[i]["faithfulness"]["value"] >= FAITHFUL and mechanisms[i]["share"] <= SHARE
    ]
    for j, name in enumerate(names):
        best = int(f1[:, j].argmax()) if len(f1) else -1
        print(
            f"{name:12} {len(truth[name]):6} tokens, best F1 {f1[best, j]:.2f} (mechanism {best})"
        )
    faithful = np.array([each["faithfulness"]["value"] for each in mechanisms])
    result = {
        "behaviours found": Figure(len(matches) / len(names), target=0.8),
        "behaviours found, with a faithful small circuit": Figure(
            len(good) / len(names), target=0.8
        ),
        "best F1 of a behaviour, mean": figure(estimate(f1.max(0))),
        "mechanisms per planted behaviour": Figure(
            len(mechanisms) / len(names), target=LENGTH, at_least=False
        ),
        "mechanisms with faithfulness of .85": Figure(float((faithful >= FAITHFUL).mean())),
        "faithfulness, median": Figure(float(np.median(faithful))),
    }
    shares = np.array([each["share"] for each in mechanisms])
    result["share of edges, mean"] = figure(estimate(shares))
    for name in ("empty", "whole"):
        values = np.array([each["metric"][name] for each in mechanisms])
        result[f"m({name}), mean over mechanisms"] = figure(estimate(values))
    return result


def measure(quick: bool) -> dict[str, Figure]:
    """Draw the atlas and hold it against the list; quick looks into eight clusters."""
    torch.set_num_threads(1)
    model = load(path())
    world = world_of(model)
    assert world is not None
    made = generate(world, SEED, 15_000 if quick else TOKENS, CONTEXT)
    with tempfile.TemporaryDirectory() as folder:
        found = atlas(
            model,
            Path(folder),
            text=made.text,
            clusters=8 if quick else CLUSTERS,
            pairs=8 if quick else PAIRS,
        )
    return figures(found, planted(world, made))


if __name__ == "__main__":
    main("atlas", measure)
