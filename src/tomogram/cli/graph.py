"""`tomogram graph`: read an attribution graph from a file, of ours or of another tool."""

from __future__ import annotations

from pathlib import Path

import typer


def graph(
    file: Path = typer.Argument(help="A graph of tomogram, circuit-tracer or Neuronpedia (JSON)."),
    out: Path = typer.Option(None, help="File to write the graph to, as `tomogram trace` does."),
    nodes: float = typer.Option(1.0, help="Keep nodes down to this share of all influence."),
    edges: float = typer.Option(1.0, help="The same for edges."),
    supernodes: float = typer.Option(
        None, help="Propose supernodes anew: least similarity of units that become one, 0 to 1."
    ),
    json: bool = typer.Option(False, "--json", help="Print the graph's JSON, not a summary."),
) -> None:
    """Sum up a graph that was drawn before, prune it, and write it with its edited supernodes."""
    from dataclasses import replace

    from tomogram.circuits.graph.export import document, write_graph
    from tomogram.circuits.graph.foreign import read_any
    from tomogram.circuits.graph.scores import prune, scores
    from tomogram.circuits.graph.supernodes import propose
    from tomogram.cli.trace import summary
    from tomogram.store.canonical import readable_json

    found = read_any(file)
    pruned = prune(found, nodes=nodes, edges=edges)
    if supernodes is not None:
        found = replace(found, supernodes=propose(found, pruned, similar=supernodes))
    measured = scores(found)
    content = document(found, pruned, measured)
    if out is not None:
        write_graph(out, content)
    if json:
        typer.echo(readable_json(content), nl=False)
    else:
        typer.echo(summary(found, measured, (int(pruned.nodes.sum()), int(pruned.edges.nnz))))
