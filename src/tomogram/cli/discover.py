"""`tomogram discover`: the circuit of a behaviour, or of whatever a model does, with its proof."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import typer


def discover(
    model: str = typer.Argument(help="Hub name, folder or GGUF file."),
    pairs: Path = typer.Option(
        None,
        help="Behaviour as JSON lines: clean, counterfactual, answer, other."
        " Without it behaviours are proposed from the model's own predictions.",
    ),
    dictionaries: str = typer.Option(
        None,
        help="With --pairs: the circuit over features of these transcoders (a folder, or OWNER/NAME"
        " on the Hub), not over heads and MLPs.",
    ),
    text: str = typer.Option(
        None, help="Without --pairs: text to predict; sampled from the model without it."
    ),
    clusters: int = typer.Option(44, help="Without --pairs: how many proposals are looked into."),
    method: str = typer.Option(
        "conductance", help="How edges are scored; docs/discovery.md lists them."
    ),
    faithfulness: float = typer.Option(
        None,
        help="What the circuit must reach on the pairs it is searched with: 0.85 with --pairs,"
        " else 0.95.",
    ),
    limit: float = typer.Option(
        None, help="The largest share of edges a circuit may have: 1 with --pairs, else 0.1."
    ),
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
    from tomogram.pipeline.atlas import ROUNDS, SHARE, WANTED, atlas
    from tomogram.pipeline.discovery import discover_feature_pairs, discover_pairs
    from tomogram.store.canonical import readable_json
    from tomogram.store.errors import TomogramError

    standard = (
        Settings()
        if pairs is not None
        else Settings(wanted=WANTED, limit=SHARE, sampled=0, rounds=ROUNDS)
    )
    limit = standard.limit if limit is None else limit
    faithfulness = standard.wanted if faithfulness is None else faithfulness
    if not 0 < faithfulness <= 1 or not 0 < limit <= 1 or sampled < 0 or clusters < 1:
        raise TomogramError(
            "--faithfulness and --limit lie between 0 and 1; --sampled is 0 or more and"
            " --clusters 1 or more."
        )
    settings = replace(
        standard, method=method, wanted=faithfulness, limit=limit, seed=seed,
        sampled=sampled if pairs else 0,
    )  # fmt: skip
    told: str
    if dictionaries is not None:
        if pairs is None:
            raise TomogramError("A circuit over features needs a behaviour: --pairs says which.")
        found = discover_feature_pairs(
            model, pairs, dictionaries, settings=settings, out=out, behaviour=name, text=text,
            device=device, dtype=dtype,
        )  # fmt: skip
        told = features_summary(found)
    elif pairs is not None:
        found = discover_pairs(
            model, pairs, settings=settings, out=out, behaviour=name, device=device, dtype=dtype
        )
        told = summary(found)
    else:
        if out is None:
            raise TomogramError("Without --pairs an atlas is written: --out says where.")
        found = atlas(
            model, out, text=text, clusters=clusters, settings=settings, device=device, dtype=dtype
        )
        told = atlas_summary(found)
    if json:
        typer.echo(readable_json(found), nl=False)
    else:
        typer.echo(told)
        if out is not None:
            typer.echo(f"Results: {out}")


def atlas_summary(found: dict[str, Any]) -> str:
    """One line a mechanism: what share of the predictions, how faithful, an example."""
    lines = [f"{len(found['mechanisms'])} mechanisms, ranked by predictions times faithfulness:"]
    for entry in found["mechanisms"]:
        example = entry["examples"][0]
        lines.append(
            f"  {entry['share_of_predictions']:>5.1%} of predictions, faithfulness"
            f" {_range(entry['faithfulness'])} with {entry['share']:.1%} of the edges"
            f" (m {entry['metric']['whole']:.1f}, without edges {entry['metric']['empty']:.1f}):"
            f" “… {example['prompt']}” → “{example['says']}”"
        )
    lines.append(f"  {len(found['shared_edges'])} edges are in at least half of the circuits")
    return "\n".join(lines)


def summary(found: dict[str, Any]) -> str:
    """A few lines for a person: the circuit, how faithful it is, and its strongest edges."""
    lines = [
        f"{found['behaviour']}: {found['edges_kept']:,} of {found['edges_possible']:,} edges"
        f" ({found['share']:.1%})",
        _faithfulness(found),
        f"  metric: whole model {found['metric']['whole']:.2f},"
        f" without any edge {found['metric']['empty']:.2f} (logits)",
        f"  CPR {_range(found['cpr'])}, CMD {_range(found['cmd'])} (ranking by {found['method']})",
    ]
    lines += _agreement(found, "edges")
    lines.append("  strongest edges (measured effect of cutting each, in logits):")
    strongest = sorted(found["edges"], key=lambda edge: -abs(edge["measured"]["value"]))
    lines += [
        f"    {edge['edge']:<24} {_range(edge['measured'], sign=True)}" for edge in strongest[:12]
    ]
    parts = [part for part in found["nodes"] if part["measured"] is not None]
    if parts:
        lines.append("  strongest parts (measured effect of patching each whole, in logits):")
        lines += [
            f"    {part['node']:<24} {_range(part['measured'], sign=True)}" for part in parts[:6]
        ]
    return "\n".join(lines)


def features_summary(found: dict[str, Any]) -> str:
    """A few lines for a person: the features, how faithful they are, what they do and are fed."""
    lines = [
        f"{found['behaviour']}: {found['nodes_kept']:,} of {found['nodes_active']:,} features and"
        " errors that differ, by span",
        _faithfulness(found),
        f"  metric: whole model {found['metric']['whole']:.2f}, with the MLPs' part from the other"
        f" prompts {found['metric']['empty']:.2f} (logits)",
    ]
    lines += _agreement(found, "features")
    measured = [node for node in found["nodes"] if node["measured"] is not None]
    lines.append("  strongest features (measured effect of patching each, in logits):")
    lines += [
        f"    {node['node']:<28} {_range(node['measured'], sign=True)}"
        for node in sorted(measured, key=lambda node: -abs(node["measured"]["value"]))[:12]
    ]
    lines.append("  strongest edges into the answer (logits):")
    into = [edge for edge in found["edges"] if edge["to"] == "the answer"]
    lines += [
        f"    {edge['from']:<28} {_range(edge['adds'], sign=True)}"
        for edge in sorted(into, key=lambda edge: -abs(edge["adds"]["value"]))[:8]
    ]
    return "\n".join(lines)


def _faithfulness(found: dict[str, Any]) -> str:
    held = found["pairs"]["held_out"]
    where = f"{held} pairs kept back" if held else "the pairs it was found on (too few to keep any)"
    return f"  faithfulness {_range(found['faithfulness'])} on {where}"


def _agreement(found: dict[str, Any], what: str) -> list[str]:
    """Predicted beside measured effects of a sample, where there is one."""
    told = found["agreement"]
    if told is None:
        return []
    return [
        f"  predicted against measured effect of {told['spearman']['n']} {what}: Spearman"
        f" {_range(told['spearman'])}, signs {told['signs']:.0%}, slope {told['slope']:.2f}"
    ]


def _range(found: dict[str, float], *, sign: bool = False) -> str:
    spec = "+.2f" if sign else ".2f"
    return f"{found['value']:{spec}} [{found['low']:{spec}}, {found['high']:{spec}}]"
