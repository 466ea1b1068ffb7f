"""`tomogram trace`: what led a model to its next token."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tomogram.circuits.graph.graph import Graph
    from tomogram.circuits.graph.proof import Agreement
    from tomogram.circuits.graph.scores import Scores
    from tomogram.circuits.graph.targets import Target

GIB = 1 << 30


def trace(
    model: str = typer.Argument(help="Hub name, folder or GGUF file."),
    prompt: str = typer.Argument(help="The text before the token in question."),
    target: str = typer.Option(
        None, help="The token to explain; without it, the likely ones together."
    ),
    against: str = typer.Option(None, help="Explain the target's logit less this token's."),
    unit: str = typer.Option(
        None, help="Explain a feature or neuron instead: LAYER/NUMBER@POSITION."
    ),
    dictionaries: str = typer.Option(
        None, help="Transcoders: a folder, or OWNER/NAME on the Hub; neurons without it."
    ),
    text: str = typer.Option(
        None, help="Text to measure the dictionaries' conventions on; sampled without it."
    ),
    nodes: int = typer.Option(2_000, help="Most units in the graph."),
    memory: float = typer.Option(1.0, help="GiB for edges and rows in work, beside the model."),
    edges: int = typer.Option(
        100, help="Edges to measure by intervention; 0 leaves the check out."
    ),
    looks: int = typer.Option(
        6, help="Places where heads looked to explain; 0 leaves the heads out."
    ),
    out: Path = typer.Option(None, help="File for the graph, as Neuronpedia's page reads it."),
    seed: int = typer.Option(0, help="Decides which edges are measured."),
    device: str = typer.Option("cpu", help="cpu, cuda or mps."),
    dtype: str = typer.Option("float32", help="Number format of the model: float32 or bfloat16."),
    allow_pickle: bool = typer.Option(
        False, help="Accept pickled dictionaries (read weights-only)."
    ),
    json: bool = typer.Option(False, "--json", help="Print the graph's JSON, not a summary."),
) -> None:
    """Draw the attribution graph of a prompt, measure it by interventions, and sum it up."""
    from tomogram.circuits.graph.export import document, write_graph
    from tomogram.circuits.graph.scores import prune, scores
    from tomogram.circuits.graph.trace import Limits
    from tomogram.pipeline.tracing import trace as run
    from tomogram.store.canonical import Json, readable_json

    found = run(
        model,
        prompt,
        wanted(target, against, unit),
        dictionaries,
        text=text,
        limits=Limits(nodes=nodes, memory=int(memory * GIB)),
        edges=edges,
        looks=looks,
        seed=seed,
        device=device,
        dtype=dtype,
        allow_pickle=allow_pickle,
    ).graph
    measured, pruned = scores(found), prune(found)
    settings: dict[str, Json] = {"nodes": nodes, "seed": seed, "dictionaries": dictionaries}
    content = document(found, pruned, measured, settings=settings)
    if out is not None:
        write_graph(out, content)
    if json:
        typer.echo(readable_json(content), nl=False)
    else:
        kept = int(pruned.nodes.sum()), int(pruned.edges.nnz)
        typer.echo(summary(found, measured, kept))
        if out is not None:
            typer.echo(f"Graph: {out}")


def wanted(target: str | None, against: str | None, unit: str | None) -> Target | None:
    """The target that the options name; None for the likely tokens.

    Raises TomogramError where they contradict each other or name no unit.
    """
    from tomogram.circuits.graph.targets import Difference, Token, Unit
    from tomogram.store.errors import TomogramError

    if unit is not None:
        if target is not None or against is not None:
            raise TomogramError("A graph explains a token or a unit, not both.")
        layer, _, rest = unit.partition("/")
        number, at, position = rest.partition("@")
        try:
            return Unit(int(layer), int(number), int(position) if at else -1)
        except ValueError as error:
            raise TomogramError(
                f"{unit!r} names no unit; it looks like 3/120@5: layer, number, position."
            ) from error
    if target is None:
        if against is not None:
            raise TomogramError("--against needs --target: a difference has two tokens.")
        return None
    return Token(target) if against is None else Difference(target, against)


def summary(graph: Graph, scores: Scores, kept: tuple[int, int]) -> str:
    """A few lines for a person: what the graph shows and how far it can be trusted."""
    targets = [
        f"{label.strip()} ({probability:.2f})" if probability else label
        for label, probability in zip(graph.labels, graph.probabilities, strict=True)
    ]
    lines = [
        graph.title,
        f"  explained: {', '.join(targets)}",
        f"  {graph.units:,} active units; {len(graph.nodes):,} nodes, {graph.n_edges:,} edges;"
        f" {kept[0]:,} and {kept[1]:,} after pruning",
        f"  replacement {scores.replacement:.2f}, completeness {scores.completeness:.2f},"
        f" {scores.kept:.0%} of what enters the nodes kept",
        *_paths(graph),
        *_looks(graph),
        *_supernodes(graph),
        *_proof(graph),
    ]
    return "\n".join(lines)


def _paths(graph: Graph) -> list[str]:
    from tomogram.circuits.graph.graph import names
    from tomogram.circuits.graph.paths import path_effect, top_paths
    from tomogram.circuits.graph.scores import prune

    lines = ["  top paths (predicted effect, measured in the original model):"]
    paths: list[tuple[tuple[int, ...], float | None]]
    if graph.proof is None:
        paths = [(p, None) for p in top_paths(graph, edges=prune(graph).edges)]
    else:
        paths = [(c.path, c.direct) for c in graph.proof.paths]
    for path, measured in paths:
        told = "" if measured is None else f" {measured:+.3f}"
        heads = [
            f"L{route.layer}H{route.head}"
            for pair in pairwise(path)
            for route in graph.routes.get(pair, ())[:1]
        ]
        through = f" (through {', '.join(heads)})" if heads else ""
        lines.append(f"    {path_effect(graph, path):+.3f}{told}  {names(graph, path)}{through}")
    return lines


def _looks(graph: Graph) -> list[str]:
    if not graph.looks:
        return []
    lines = ["  why heads looked where they did (what adds to the score above that of the others):"]
    for look in graph.looks:
        lines.append(
            f"    L{look.layer}H{look.head} from {look.query} “{graph.spelled[look.query].strip()}”"
            f" at {look.key} “{graph.spelled[look.key].strip()}” (weight {look.pattern:.2f},"
            f" score {look.value:+.2f}):"
        )
        for pair in look.pairs[:3]:
            lines.append(
                f"      {pair.amount:+.2f}  {graph.name(pair.query_node)} asks,"
                f" {graph.name(pair.key_node)} answers"
            )
    return lines


def _supernodes(graph: Graph) -> list[str]:
    if not graph.supernodes:
        return []
    largest = sorted(graph.supernodes, key=lambda each: -len(each.nodes))[:6]
    told = "; ".join(f"{each.label} ({len(each.nodes)} units)" for each in largest)
    measured = graph.proof.groups if graph.proof is not None else ()
    labels = {each.nodes: each.label for each in graph.supernodes}
    return [
        f"  {len(graph.supernodes)} supernodes proposed, the largest: {told}",
        *(
            f"    {labels[each.nodes]}: predicted {each.predicted:+.3f}, taken away together"
            f" {each.measured:+.3f}"
            for each in measured[:6]
            if each.nodes in labels
        ),
    ]


def _proof(graph: Graph) -> list[str]:
    proof = graph.proof
    if proof is None:
        return []
    lines = [f"  check over {len(proof.edges)} edges:"]
    for name, found in (
        ("attention and norms frozen", proof.frozen),
        ("attention and norms live, other MLPs held", proof.direct_live),
        ("original model, nothing held", proof.total_live),
        ("edges alone against removal, other MLPs held", proof.direct),
        ("paths alone against removal, nothing held", proof.total),
        ("scores of heads, frozen", proof.looks_frozen),
        ("scores of heads, attention and norms live", proof.looks_direct),
        (f"{len(proof.groups)} supernodes taken away whole, nothing held", proof.groups_live),
    ):
        lines.append(f"    {name}: {_agreement(found)}")
    if proof.whole is not None:
        whole = proof.whole
        lines.append(
            f"  the kept subgraph alone ({whole.kept:.1%} of what writes): f = {whole.value:.2f},"
            f" where 0 is {whole.empty:+.2f} with none and 1 is {whole.full:+.2f} with all;"
            f" CPR {whole.cpr:.2f}, CMD {whole.cmd:.2f}"
        )
    return lines


def _agreement(found: Agreement | None) -> str:
    if found is None:
        return "too few to measure"
    rank = found.spearman
    return (
        f"Spearman {rank.value:.3f} [{rank.low:.3f}, {rank.high:.3f}],"
        f" signs {found.signs:.0%}, slope {found.slope:.2f}"
    )
