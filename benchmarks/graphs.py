"""Graphs: verified attribution graphs of five prompts on a real model, neurons and transcoders.

Predicted against measured effects in the unfrozen model, over edges drawn evenly from the deciles
of the prediction and without those of the residual stream alone (docs/circuits.md, "The check").
A line a graph goes to stdout as it is finished; the figures are means over the prompts.

    python -m benchmarks.graphs --json                             the reference model
    python -m benchmarks.graphs stories15M [DICTIONARIES] --json   ../shared/models/stories15M
    python -m benchmarks.graphs MODEL DICTIONARIES --json          any model, with its transcoders

DICTIONARIES is what a scan or `tomogram train` wrote; without it stories15M's are trained
(`benchmarks.transcoders`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Figure, figure, main, share
from benchmarks.transcoders import SHARED, reference, stories
from tomogram.circuits.graph.checks import check
from tomogram.circuits.graph.graph import Graph
from tomogram.circuits.graph.proof import Agreement
from tomogram.circuits.graph.scores import scores
from tomogram.circuits.graph.trace import Limits, trace
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats.own import read
from tomogram.models.model import Model
from tomogram.pipeline.given import given_model
from tomogram.store.estimates import estimate, within

REFERENCE, REAL = 0.85, 0.75
"""Least Spearman in the unfrozen model."""
NODES, EDGES, PATHS = 600, 100, 10
MICROWORLD = (
    "the capital of the state containing Macon is",
    "Macon lies in",
    "17 minus 10 equals",
    "<user> let us make a skarn . <end> <assistant>",
    "review : the garden was delicious . i enjoyed it . rating :",
)
STORIES = (
    "Once upon a time, there was a little girl named",
    "Tom and Anna went to the park. Tom threw the ball to",
    "The dog was hungry, so he ate all of the",
    "It was raining outside. Lily took her",
    "Ben was sad because he lost his toy. His mom gave him a big",
)
ENGLISH = (
    "The capital of France is",
    "The opposite of hot is",
    "Monday, Tuesday, Wednesday,",
    "When John and Mary went to the store, John gave a drink to",
    "2, 4, 6, 8,",
)


def measured(
    model: Model, prompt: str, dictionaries: Sequence[Dictionary] | None, quick: bool
) -> tuple[Graph, float]:
    """A checked graph, and the processor seconds it took."""
    start = time.process_time()
    limits = Limits(nodes=60 if quick else NODES)
    found = check(
        trace(model, prompt, None, dictionaries, limits=limits),
        edges=20 if quick else EDGES,
        paths=PATHS,
    )
    return found.graph, time.process_time() - start


def told(graph: Graph, basis: str, seconds: float) -> str:
    """A row of the table in docs/circuits.md."""
    proof, scored = graph.proof, scores(graph)
    assert proof is not None
    assert proof.whole is not None

    def three(found: Agreement | None) -> str:
        if found is None:
            return "–"
        return f"{found.spearman.value:.3f}/{found.signs:.2f}/{found.slope:.2f}"

    whole = proof.whole
    cells = (
        *(graph.prompt, graph.labels[0].strip(), basis, "yes" if proof.passed else proof.fault),
        *(f"{scored.replacement:.2f}", f"{scored.completeness:.2f}"),
        *(three(proof.frozen), three(proof.direct_live), three(proof.total_live)),
        *(f"{whole.kept:.1%}", f"{whole.value:.2f}", f"{whole.cpr:.2f}", f"{whole.cmd:.2f}"),
        f"{seconds:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def measure(
    model: Model,
    prompts: Sequence[str],
    dictionaries: Sequence[Dictionary],
    target: float,
    quick: bool,
) -> dict[str, Figure]:
    """The figures of one model, over its neurons and over its transcoders."""
    torch.set_num_threads(1)
    figures: dict[str, Figure] = {}
    for basis, own in (("neurons", None), ("transcoders", dictionaries)):
        graphs, times = [], []
        for prompt in prompts[: 1 if quick else None]:
            graph, seconds = measured(model, prompt, own, quick)
            print(told(graph, basis, seconds), flush=True)
            graphs.append(graph)
            times.append(seconds)
        proofs = [graph.proof for graph in graphs if graph.proof is not None]
        for name, words in (
            ("frozen", "attention and norms frozen"),
            ("direct_live", "unfrozen, other MLPs held"),
            ("total_live", "unfrozen, nothing held"),
        ):
            found = [each for proof in proofs if (each := getattr(proof, name)) is not None]
            if found:
                values = np.array([each.spearman.value for each in found])
                goal = 0.999 if name == "frozen" else target
                figures[f"{basis}: Spearman, {words}"] = figure(estimate(values), goal)
        passed = sum(proof.passed for proof in proofs)
        figures[f"{basis}: graphs that pass their check"] = share(passed, len(proofs))
        spent = within(estimate(np.array(times)), 0)
        figures[f"{basis}: processor seconds a graph"] = figure(spent)
    return figures


def transcoders(folder: str) -> list[Dictionary]:
    """The transcoders among the dictionaries of a folder."""
    return [each for each in read(Path(folder)) if not each.shape.is_autoencoder]


def of_reference(quick: bool) -> dict[str, Figure]:
    """The shipped model, with transcoders of its own text."""
    model = given_model(None)
    own = reference(model, tokens=60_000) if quick else reference(model)
    return measure(model, MICROWORLD, own, REFERENCE, quick)


def of(words: Sequence[str], quick: bool) -> dict[str, Figure]:
    """A model that is named."""
    if words[0] == "stories15M":
        model = given_model(SHARED / "models" / "stories15M")
        own = transcoders(words[1]) if len(words) > 1 else list(stories(model))
        return measure(model, STORIES, own, REAL, quick)
    return measure(given_model(words[0]), ENGLISH, transcoders(words[1]), REAL, quick)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    sys.argv[1:] = [word for word in sys.argv[1:] if word.startswith("-")]
    if words:
        main(f"graphs {words[0]}", lambda quick: of(words, quick))
    else:
        main("graphs", of_reference)
