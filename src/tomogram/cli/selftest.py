"""`tomogram selftest`: how far circuit discovery can be trusted in this installation."""

from __future__ import annotations

import typer

_FLOOR = 0.99


def selftest(
    pairs: int = typer.Option(16, help="Pairs to search with, and as many to measure on."),
    seed: int = typer.Option(0, help="Decides the pairs."),
    json: bool = typer.Option(False, "--json", help="Print everything as JSON."),
) -> None:
    """Find known circuits with every method: edge AUROC, CPR, CMD and time. Needs no network."""
    from tomogram.pipeline.selftest import document, means
    from tomogram.pipeline.selftest import selftest as run
    from tomogram.store.canonical import readable_json
    from tomogram.store.errors import TomogramError

    if pairs < 2:
        raise TomogramError("--pairs is 2 or more.")
    found = run(pairs=pairs, seed=seed)
    if json:
        typer.echo(readable_json(document(found)), nl=False)
    else:
        typer.echo(
            f"{'circuits':<10} {'method':<20} {'AUROC':>6} {'CPR':>6} {'CMD':>6} {'CPU s':>7}"
        )
        for (kind, method), (auroc, cpr, cmd, seconds) in means(found).items():
            typer.echo(
                f"{kind:<10} {method:<20} {auroc:>6.3f} {cpr:>6.2f} {cmd:>6.2f} {seconds:>7.2f}"
            )
    exact = [each.auroc for each in found if each.method == "exact" and each.kind != "reference"]
    if min(exact) < _FLOOR:
        # The truth of these follows from their matrices, so this is a fault of the installation.
        raise TomogramError(
            f"Exact patching found a known circuit with an edge AUROC of only {min(exact):.3f}."
        )
