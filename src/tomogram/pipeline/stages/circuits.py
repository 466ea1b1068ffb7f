"""A few of the model's own circuits: graphs of predictions, measured, the best verified kept.

Predictions are taken from held-out text, one a document: of those of which the model is sure, the
ones that the last token says least about, each of another token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Int

from tomogram.circuits.graph.checks import check
from tomogram.circuits.graph.export import document, read_graph, write_graph
from tomogram.circuits.graph.graph import Graph
from tomogram.circuits.graph.scores import Scores, prune, scores
from tomogram.circuits.graph.supernodes import propose
from tomogram.circuits.graph.targets import Token, spell_one
from tomogram.circuits.graph.trace import Limits, trace
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.model import Model
from tomogram.pipeline.session import Session
from tomogram.pipeline.stages.text import Texts
from tomogram.store.atomic import write_bytes
from tomogram.store.canonical import readable_json
from tomogram.store.errors import TomogramError
from tomogram.store.progress import task
from tomogram.store.schema import CircuitRecord, Circuits
from tomogram.store.stage import Stage, Work
from tomogram.text.packing import PackedText

VERSION = 1
FOLDER = "circuits"
TRIED, SHOWN = 6, 3
"""Predictions traced of a small model, and graphs kept."""
SMALL = 20_000_000
"""Parameters of a small model; of a larger one fewer predictions are traced, one at least."""
SHORTEST, LONGEST = 5, 24
"""Tokens of a prompt."""
_DOCUMENTS, _AT_ONCE, _SURE, _NODES, _EDGES, _PATHS = 96, 16, 0.5, 300, 40, 5


@dataclass(frozen=True)
class Prediction:
    """A prompt, and the token that the model says next."""

    prompt: tuple[int, ...]
    token: int


def stage(session: Session, texts: Texts, dictionaries: str) -> Stage:
    """The stage for texts and the digest of the stage that made the dictionaries."""
    return Stage(
        session.folder,
        FOLDER,
        VERSION,
        session.inputs(
            train=texts.train.digest, held_out=texts.held_out.digest, dictionaries=dictionaries
        ),
    )


def run(
    session: Session, texts: Texts, dictionaries: Sequence[Dictionary], digest: str
) -> Circuits:
    """Run the stage unless it is done, and read its results."""
    path = stage(session, texts, digest).run(lambda work: _body(session, texts, dictionaries, work))
    return Circuits.model_validate_json((path / "circuits.json").read_bytes())


def _body(session: Session, texts: Texts, dictionaries: Sequence[Dictionary], work: Work) -> None:
    transcoders = [each for each in dictionaries if not each.shape.is_autoencoder]
    wanted = predictions(session, texts)
    refused = None if wanted else "The model is sure of nothing in the text."
    files = []
    with task("circuits", total=len(wanted), unit="graphs") as progress:
        for number, each in enumerate(wanted):
            file = work.checkpoints / f"{number}.json"
            try:
                if not file.exists():
                    graph = _traced(session, transcoders, each)
                    write_graph(file, document(graph, prune(graph), scores(graph)))
                files.append(file)
            except TomogramError as error:
                # What cannot be drawn for one prompt is told; a scan goes on without it.
                refused = str(error)
            progress.advance()
    drawn = [(file, *read_graph(file)) for file in files]
    measured = [each for each in drawn if _worth(each[1]) > -1]
    shown = []
    for place, (file, graph, scored) in enumerate(
        sorted(measured, key=lambda each: -_worth(each[1]))[:SHOWN]
    ):
        name = f"circuit-{place}.json"
        write_bytes(work.results / name, file.read_bytes())
        shown.append(_record(graph, scored, f"{FOLDER}/{name}"))
    passed = sum(graph.proof is not None and graph.proof.passed for _, graph, _ in drawn)
    found = Circuits(
        tried=len(wanted),
        passed=passed,
        shown=tuple(shown),
        refused=None if shown else refused or "Too few edges run through heads to be measured.",
    )
    write_bytes(
        work.results / "circuits.json", readable_json(found.model_dump(mode="json")).encode()
    )


@torch.no_grad()
def predictions(session: Session, texts: Texts) -> list[Prediction]:
    """What is traced: sure predictions that the last token says least about."""
    model = session.model
    parameters = sum(each.numel() for each in model.module.parameters())
    wanted = max(1, min(TRIED, round(TRIED * SMALL / parameters)))
    before, both = _followed(texts.train.tokens)
    best: dict[int, tuple[float, Prediction]] = {}
    openings = _openings(texts.held_out)
    for first in range(0, len(openings), _AT_ONCE):
        part = openings[first : first + _AT_ONCE]
        # What stands behind a token does not reach it.
        rows = torch.zeros(len(part), LONGEST, dtype=torch.long, device=model.device)
        for row, tokens in zip(rows, part, strict=True):
            row[: len(tokens)] = torch.from_numpy(tokens)
        logits = model.run(rows).logits
        assert logits is not None
        chance, said = (each.cpu() for each in logits.float().softmax(-1).max(-1))
        for row, tokens in enumerate(part):
            for place in range(SHORTEST - 1, len(tokens)):
                last, token = int(tokens[place]), int(said[row, place])
                if float(chance[row, place]) < _SURE or not _is_word(model, token):
                    continue
                share = (both[last, token] + 0.5) / (before[last] + 1)
                gain = float(chance[row, place].log()) - float(np.log(share))
                if first + row not in best or gain > best[first + row][0]:
                    prompt = tuple(tokens[: place + 1].tolist())
                    best[first + row] = gain, Prediction(prompt, token)
    found: dict[int, Prediction] = {}
    for _, each in sorted(best.values(), key=lambda pair: -pair[0]):
        if each.token not in found and len(found) < wanted:
            found[each.token] = each
    return list(found.values())


def _is_word(model: Model, token: int) -> bool:
    """Whether a token is more than space and signs, which make dull pictures."""
    return any(character.isalnum() for character in spell_one(model, token))


def _openings(text: PackedText) -> list[Int[np.ndarray, " tokens"]]:
    """How documents begin, of those that begin inside a row."""
    found: list[Int[np.ndarray, " tokens"]] = []
    for row, owner in zip(text.tokens, text.documents, strict=True):
        # The first piece of a row may have lost its beginning.
        cuts = [*(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(row)]
        for start, end in pairwise(cuts):
            if end - start >= SHORTEST:
                found.append(row[start : min(end, start + LONGEST)].astype(np.int64))
            if len(found) == _DOCUMENTS:
                return found
    return found


def _followed(
    tokens: Int[np.ndarray, "rows context"],
) -> tuple[Counter[int], Counter[tuple[int, int]]]:
    """How often each token stands before another, and before which."""
    left, right = tokens[:, :-1].reshape(-1).tolist(), tokens[:, 1:].reshape(-1).tolist()
    return Counter(left), Counter(zip(left, right, strict=True))


def _traced(session: Session, transcoders: Sequence[Dictionary], each: Prediction) -> Graph:
    """The graph of a prediction with its proof, its units in groups."""
    model = session.model
    found = trace(model, each.prompt, Token(each.token), transcoders, limits=Limits(nodes=_NODES))
    graph = check(found, edges=_EDGES, paths=_PATHS, seed=session.seed).graph
    # Pieces of words-only tokenizers have no spaces of their own; decoding puts them in.
    text = graph.prompt if model.tokenizer is None else model.tokenizer.decode(each.prompt)
    return replace(graph, prompt=text, supernodes=propose(graph, prune(graph)))


def _worth(graph: Graph) -> float:
    """By what graphs are ranked: passed first, then the lower correlation in the live model."""
    proof = graph.proof
    if proof is None or proof.direct_live is None or proof.total_live is None:
        return -1.0
    lower = min(proof.direct_live.spearman.value, proof.total_live.spearman.value)
    return max(lower, -0.99) + 2 * proof.passed


def _record(graph: Graph, measured: Scores, file: str) -> CircuitRecord:
    proof = graph.proof
    assert proof is not None
    assert proof.frozen is not None
    assert proof.direct_live is not None
    assert proof.total_live is not None
    assert proof.whole is not None
    return CircuitRecord(
        file=file,
        prompt=graph.prompt,
        says=graph.labels[0],
        probability=graph.probabilities[0],
        passed=proof.passed,
        replacement=measured.replacement,
        completeness=measured.completeness,
        frozen=proof.frozen.spearman,
        direct=proof.direct_live.spearman,
        total=proof.total_live.spearman,
        kept=proof.whole.kept,
        faithfulness=proof.whole.value,
    )
