"""`tomogram reference`: train the reference models again, and measure them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tomogram.reference.evaluate import Score

reference = typer.Typer(
    help="Train the reference models again, and measure them.", no_args_is_help=True
)


@reference.command()
def build(
    names: list[str] = typer.Argument(
        None,
        metavar="[NAME]...",
        help="microworld, sibling-1 to sibling-8, or siblings; all of them when none is given.",
    ),
    out: Path = typer.Option(..., help="Folder that gets a folder for each model."),
    device: str = typer.Option("cpu", help="Where to train: cpu, cuda or mps."),
) -> None:
    """Train models from their recipes; those that are there already are left alone."""
    from tomogram.reference.recipe import recipes

    chosen = recipes(names or ())  # before torch is imported, which takes seconds
    from tomogram.reference.build import build as train

    for folder in train(chosen, out, device=device):
        typer.echo(folder)


@reference.command()
def measure(
    folders: list[Path] = typer.Argument(
        None,
        metavar="[DIR]...",
        help="Models of the microworld; the shipped one when none is given.",
    ),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of tables."),
    device: str = typer.Option("cpu", help="Where to run: cpu, cuda or mps."),
) -> None:
    """Measure models of the microworld on held-out items, with 95 % intervals."""
    from tomogram.reference.evaluate import measure as score
    from tomogram.reference.shipped import path
    from tomogram.store.canonical import readable_json

    chosen = folders or [path()]
    scores = {str(folder): score(folder, device=device) for folder in chosen}
    if json:
        figures = {
            name: {behaviour: each.estimate.model_dump() for behaviour, each in found.items()}
            for name, found in scores.items()
        }
        typer.echo(readable_json(figures), nl=False)
        return
    typer.echo("\n\n".join(f"{name}\n{_table(found)}" for name, found in scores.items()))


def _table(scores: Mapping[str, Score]) -> str:
    """One line a behaviour: its name, the share of items answered rightly, interval, items."""
    width = max(map(len, scores))
    lines = []
    for name, score in scores.items():
        low, high = score.estimate.low, score.estimate.high
        figures = f"{score.rate:6.1%}  {low:6.1%} to {high:6.1%}  of {score.n:,}"
        lines.append(f"{name:<{width}}  {figures}")
    return "\n".join(lines)
