"""`tomogram discover`: the circuit of a behaviour, with its faithfulness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer


def discover(
    model: str = typer.Argument(help="Hub name, folder or GGUF file."),
    pairs: Path = typer.Option(
        None, help="Behaviour as JSON lines: clean, counterfactual, answer, other."
    ),
    method: str = typer.Option(
        "secant", help="How edges are scored; docs/discovery.md lists them."
    ),
    faithfulness: float = typer.Option(0.85, help="What the circuit must reach, between 0 and 1."),
    limit: float = typer.Option(1.0, help="The largest share of edges a circuit may have."),
    sampled: int = typer.Option(100, help="Edges patched exactly to check the scores."),
    out: Path = typer.Option(
        None, help="Folder for the results; an interrupted run goes on there."
    ),
    name: str = typer.Option(None, help="What the behaviour is called."),
    seed: int = typer.Option(0, help="Decides which pairs are kept back."),
    device: str = typer.Option("cpu", help="cpu, cuda or mps."),
    dtype: str = typer.Option("float32", help="Number format of the model: float32 or bfloat16."),
    json: bool = typer.Option(False, "--json", help="Print the results as JSON."),
) -> None:
    """Find the edges between heads and MLPs that carry a behaviour, and measure them."""
    from tomogram.circuits.discovery.discover import Settings
    from tomogram.pipeline.discovery import discover_pairs
    from tomogram.store.canonical import readable_json
    from tomogram.store.errors import TomogramError

    if not 0 < faithfulness <= 1 or not 0 < limit <= 1 or sampled < 0:
        raise TomogramError(
            "--faithfulness and --limit lie between 0 and 1; --sampled is 0 or more."
        )
    settings = Settings(method, faithfulness, limit, sampled, seed)
    found = discover_pairs(
        model, pairs, settings=settings, out=out, behaviour=name, device=device, dtype=dtype
    )
    if json:
        typer.echo(readable_json(found), nl=False)
    else:
        typer.echo(summary(found))
        if out is not None:
            typer.echo(f"Results: {out}")


def summary(found: dict[str, Any]) -> str:
    """A few lines for a person: the circuit, how faithful it is, and its strongest edges."""
    held = found["pairs"]["held_out"]
    where = f"{held} pairs kept back" if held else "the pairs it was found on (too few to keep any)"
    lines = [
        f"{found['behaviour']}: {found['edges_kept']:,} of {found['edges_possible']:,} edges"
        f" ({found['share']:.1%})",
        f"  faithfulness {_range(found['faithfulness'])} on {where}",
        f"  metric: whole model {found['metric']['whole']:.2f},"
        f" without any edge {found['metric']['empty']:.2f} (logits)",
        f"  CPR {_range(found['cpr'])}, CMD {_range(found['cmd'])} (ranking by {found['method']})",
    ]
    told = found["agreement"]
    if told is not None:
        lines.append(
            f"  predicted against measured effect of {told['spearman']['n']} edges: Spearman"
            f" {_range(told['spearman'])}, signs {told['signs']:.0%}, slope {told['slope']:.2f}"
        )
    lines.append("  strongest edges (measured effect of cutting each, in logits):")
    strongest = sorted(found["edges"], key=lambda edge: -abs(edge["measured"]["value"]))
    lines += [
        f"    {edge['edge']:<24} {_range(edge['measured'], sign=True)}" for edge in strongest[:12]
    ]
    return "\n".join(lines)


def _range(found: dict[str, float], *, sign: bool = False) -> str:
    spec = "+.2f" if sign else ".2f"
    return f"{found['value']:{spec}} [{found['low']:{spec}}, {found['high']:{spec}}]"
